import { createServer, ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../lib/errors.ts';
import { forbiddenMethods, headersOf, send, toRequest, urlOf } from './exchange.ts';
import { callFunction, refuseForbidden } from './functions.ts';
import { listenLocally } from './listen.ts';
import type { Match, Router } from './match.ts';
import { refuse } from './problem.ts';
import { createRouter } from './routes.ts';
import { serveFile } from './static.ts';

/** A running development server. */
export type DevServer = {
  url: string;
  /** Waits for requests under way and the work behind them, for as long as there is any. */
  settled(): Promise<void>;
  /** Takes no more requests, and waits at most 10 seconds for those under way and their after-work. */
  close(): Promise<void>;
};

export type ServerOptions = {
  /** On 127.0.0.1; 0 for a free one. */
  port: number;
  /** Folder with api/, public/ and vercel.json. */
  root: string;
  /** As `createRouter` takes it. */
  fileOf?: (source: string) => string;
  /** Told of what a function or its after-work threw; the caller of the function never is. */
  onError?: (error: unknown) => void;
};

const closeMs = 10_000;

/**
 * Serves a project as Vercel would: same routes, one process.
 *
 * @throws {StartupError} when Vercel would refuse the project; the server's own error, such as
 *   EADDRINUSE, when the port cannot be had.
 */
export async function startServer(options: ServerOptions): Promise<DevServer> {
  const onError = options.onError ?? (() => undefined);
  const route = await createRouter(resolve(options.root), options.fileOf);
  const pending = new Set<Promise<unknown>>();
  const track = (work: Promise<unknown>): void => {
    const settled = work.catch(onError).finally(() => pending.delete(settled));
    pending.add(settled);
  };

  const serve = (message: IncomingMessage, response: ServerResponse): void => {
    track(respond(message, response, { route, waitUntil: track, onError }));
  };
  const server = createServer(serve);
  server.on('connect', (message, socket) => serve(message, responseOn(socket, message)));
  server.on('clientError', (_error, socket) => track(refuseUnreadable(socket)));

  const port = await listenLocally(server, options.port);
  return {
    url: `http://127.0.0.1:${port}`,
    async settled() {
      while (pending.size > 0) await Promise.all(pending);
    },
    async close() {
      server.close();
      await settle(pending);
      server.closeAllConnections();
    },
  };
}

type Context = {
  route: Router;
  waitUntil: (work: Promise<unknown>) => void;
  onError: (error: unknown) => void;
};

async function respond(
  message: IncomingMessage,
  response: ServerResponse,
  { route, waitUntil, onError }: Context,
): Promise<void> {
  const url = urlOf(message);
  if (url === undefined) {
    return send(refuse(noPath()), message, response, {});
  }
  const match = route(message.method ?? 'GET', url.pathname);
  const answer = await answerTo(match, message, response, waitUntil).catch((error: unknown) => {
    onError(error);
    return refuse(
      new BatonError(
        'internal_error',
        'The function failed; look for why where this server prints',
      ),
    );
  });
  await send(answer, message, response, match.headers);
}

async function answerTo(
  { target }: Match,
  message: IncomingMessage,
  response: ServerResponse,
  waitUntil: Context['waitUntil'],
): Promise<Response> {
  const method = message.method ?? 'GET';
  switch (target.kind) {
    case 'function': {
      const url = urlOf(message, target.search);
      if (url === undefined) return refuse(noPath());
      if (forbiddenMethods.includes(method)) {
        const options = new Request(url, { method: 'OPTIONS', headers: headersOf(message) });
        return refuseForbidden(target.file, options, waitUntil);
      }
      return callFunction(target.file, toRequest(message, response, url), waitUntil);
    }
    case 'file':
      return serveFile(target.file, target.status, method);
    case 'redirect': {
      const query = urlOf(message)?.search ?? '';
      const headers = { location: target.location + query };
      return new Response(null, { status: target.status, headers });
    }
    case 'nothing':
      // no route of Vercel's own refuses in any other way
      return refuse(
        new BatonError(
          'not_found',
          'There is no file and no function here; see that the path is right',
        ),
      );
  }
}

const noPath = () =>
  new BatonError('invalid_request', 'The target of the request is no path: begin it with /');

/** What Node's parser does not take, such as a method that it does not know. */
async function refuseUnreadable(socket: Duplex): Promise<void> {
  const answer = refuse(
    new BatonError(
      'invalid_request',
      'This is no request of HTTP/1.1 with a known method; send one that is',
    ),
  );
  const headers = ['HTTP/1.1 400 Bad Request', 'connection: close'];
  for (const [name, value] of answer.headers) headers.push(`${name}: ${value}`);
  const text = `${headers.join('\r\n')}\r\n\r\n${await answer.text()}`;
  if (socket.writable) socket.end(text);
}

/** Node hands CONNECT over with a bare socket, meant for a tunnel; it gets an answer instead. */
function responseOn(socket: Duplex, message: IncomingMessage): ServerResponse {
  const response = new ServerResponse(message);
  response.shouldKeepAlive = false;
  if (socket instanceof Socket) response.assignSocket(socket);
  response.on('finish', () => socket.end());
  socket.on('error', () => undefined);
  return response;
}

/** Work under way may start more of it. */
async function settle(pending: ReadonlySet<Promise<unknown>>): Promise<void> {
  const patience = new AbortController();
  const lapsed = sleep(closeMs, true, { signal: patience.signal }).catch(() => true);
  let over = false;
  while (pending.size > 0 && !over) {
    over = await Promise.race([lapsed, Promise.all(pending).then(() => false)]);
  }
  patience.abort();
}
