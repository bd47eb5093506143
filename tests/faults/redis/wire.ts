import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, request as ask, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { listenLocally } from '../../../dev/listen.ts';
import { parseJson } from '../../../lib/json.ts';
import type { Trap, Wire } from '../storage.ts';
import { createTraps } from '../traps.ts';

/** Where a wire leads, and what it must know of the scripts that pass it. */
export interface Target {
  /** Of Upstash's REST protocol. */
  url: string;
  /** The name of a script, by its SHA1. */
  names: ReadonlyMap<string, string>;
  /** Whether Redis has run this script before; else it only asks for the whole of it. */
  knows(sha: string): Promise<boolean>;
  /** Settings by which an instance that goes over the wire reaches this storage. @param url of the wire */
  envAt(url: string): Readonly<Record<string, string>>;
}

/** The line of an instance that speaks to Redis over HTTP: each request brings one statement. */
export async function startRedisWire(target: Target): Promise<Wire> {
  const { trapFor, noteAnswer, ...controls } = createTraps();
  const sockets = new Set<Socket>();
  const dead = new WeakSet<Socket>();

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    const name = await nameOf(body, target);
    const trap = name === null ? null : trapFor(name);
    const stopAt = (at: Trap['at']) => trap?.at === at && halt(trap, response);
    if (dead.has(request.socket)) return;
    await stopAt('held');
    const { sent, answer } = forward(target.url, request, body);
    await sent;
    await stopAt('sent');
    const { status, content } = await answer;
    if (name !== null) noteAnswer(name);
    await stopAt('done');
    if (dead.has(request.socket)) return;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(content);
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const port = await listenLocally(server);
  return {
    ...controls,
    env: target.envAt(`http://127.0.0.1:${port}`),
    silence: () => sockets.forEach((socket) => dead.add(socket)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Ends once it is let go on. @throws where the connection was cut instead */
async function halt({ sprung }: Trap, response: ServerResponse): Promise<void> {
  const gate = Promise.withResolvers<void>();
  sprung({
    release: gate.resolve,
    cut() {
      response.destroy();
      gate.reject(new Error('cut'));
    },
  });
  await gate.promise;
}

/** Of what a request wants done; null: Redis will not do it, for it does not know the script yet. */
async function nameOf(body: string, { names, knows }: Target): Promise<string | null> {
  const [[command = '', script = ''] = []] = parseJson(body) as string[][];
  const sha = command === 'EVAL' ? createHash('sha1').update(script).digest('hex') : script;
  if (command === 'EVALSHA' && !(await knows(sha))) return null;
  return names.get(sha) ?? 'another';
}

/** Sends it on, also if the instance that began it is gone meanwhile. */
function forward(url: string, { method, url: path = '/', headers }: IncomingMessage, body: string) {
  const sent = Promise.withResolvers<void>();
  const answer = new Promise<{ status: number; content: string }>((resolve, reject) => {
    const { authorization = '' } = headers;
    const asking = ask(
      url + path,
      { method, agent: false, headers: { authorization, 'content-type': 'application/json' } },
      (response) =>
        void text(response).then(
          (content) => resolve({ status: response.statusCode ?? 500, content }),
          reject,
        ),
    );
    asking.on('error', reject);
    asking.end(body, () => sent.resolve());
  });
  answer.catch(sent.reject);
  return { sent: sent.promise, answer };
}
