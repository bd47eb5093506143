import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenLocally } from '../../../dev/listen.ts';
import type { Closable, Losing } from '../storage.ts';
import { losses } from '../traps.ts';

/** The line to a database that is spoken to over HTTP. @param target where requests go on to */
export async function startLossyHttp(
  target: string,
): Promise<Losing & Closable & { endpoint: string }> {
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
