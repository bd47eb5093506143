import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenLocally } from '../../dev/listen.ts';

/** A line on which answers can be lost after the server has done what it was asked. */
export interface Losing {
  /** Lets so many statements pass and loses the answers of as many after them. The sweep's own are not counted. */
  lose(skip: number, times: number): void;
  /** How many were lost since the start. */
  lost(): number;
}

/** Counts down to the answers to be lost. */
export function losses(): Losing & { isLost(statement: string): boolean } {
  let plan = { skip: 0, times: 0 };
  let lost = 0;
  return {
    lost: () => lost,
    lose: (skip, times) => void (plan = { skip, times }),
    isLost(statement) {
      if (plan.times === 0 || statement.includes('baton_recover')) return false;
      if (plan.skip > 0) plan.skip--;
      else {
        plan.times--;
        lost++;
        return true;
      }
      return false;
    },
  };
}

/** The line to a database that is spoken to over HTTP. @param target where requests go on to */
export async function startLossyHttp(
  target: string,
): Promise<Losing & { endpoint: string; close(): Promise<void> }> {
  const { isLost, ...losing } = losses();
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      const isCut = isLost(body);
      const headers = new Headers();
      for (const [name, value] of Object.entries(request.headers)) {
        if (name.startsWith('neon-') && typeof value === 'string') headers.set(name, value);
      }
      const answer = await fetch(target, { method: 'POST', body, headers });
      const content = await answer.text();
      if (isCut) return void response.destroy();
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(content);
    })().catch(() => response.destroy());
  });
  const port = await listenLocally(server);
  return {
    endpoint: `http://127.0.0.1:${port}/sql`,
    ...losing,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
