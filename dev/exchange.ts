import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Methods that the Fetch standard forbids a Request to have. */
export const forbiddenMethods: readonly string[] = ['CONNECT', 'TRACE', 'TRACK'];

/**
 * The address a function sees: the path as the caller wrote it, also after a rewrite, with the route's
 * own query behind the caller's.
 *
 * @returns nothing when the request's target is no path, such as `*`.
 */
export function urlOf(message: IncomingMessage, search = ''): URL | undefined {
  const target = message.url ?? '';
  const base = `http://127.0.0.1:${message.socket.localPort ?? 80}`;
  if (!target.startsWith('/') || !URL.canParse(base + target)) return undefined;
  const url = new URL(base + target);
  // The setter ignores what is no host.
  url.host = message.headers.host ?? url.host;
  if (search !== '') url.search += (url.search === '' ? '' : '&') + search;
  return url;
}

/**
 * The request as functions get it: the body as it came, unread, and a signal that tells when the caller
 * went away before the answer was out.
 *
 * @throws TypeError for a forbidden method.
 */
export function toRequest(message: IncomingMessage, response: ServerResponse, url: URL): Request {
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const init = {
    method: message.method ?? 'GET',
    headers: headersOf(message),
    signal: gone.signal,
  };
  if (init.method === 'GET' || init.method === 'HEAD') return new Request(url, init);
  // A function that stops reading must still be able to answer: the socket stays open.
  const body = ReadableStream.from<Uint8Array>(message.iterator({ destroyOnReturn: false }));
  return new Request(url, { ...init, body, duplex: 'half' });
}

/** The headers as functions get them. */
export function headersOf(message: IncomingMessage): Headers {
  const headers = new Headers();
  const { rawHeaders } = message;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  }
  // As on the platform, the proxy's word replaces the caller's.
  const address = message.socket.remoteAddress ?? '127.0.0.1';
  headers.set('x-forwarded-for', address);
  headers.set('x-real-ip', address);
  return headers;
}

/** Sends an answer, chunk by chunk; returns when it is out or the caller is gone. */
export async function send(
  answer: Response,
  message: IncomingMessage,
  response: ServerResponse,
  extraHeaders: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(extraHeaders)) {
    if (!answer.headers.has(name)) response.setHeader(name, value);
  }
  for (const [name, value] of answer.headers) response.appendHeader(name, value);
  response.statusCode = answer.status;

  if (answer.body === null || message.method === 'HEAD') {
    await answer.body?.cancel();
    response.end();
  } else {
    await pipeline(Readable.fromWeb(answer.body), response).catch(unlessCallerLeft);
  }
  drain(message);
}

function unlessCallerLeft(error: unknown): void {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return;
  }
  throw error;
}

/** Reads away what the function left of the body, or the next request could not come through. */
function drain(message: IncomingMessage): void {
  message.removeAllListeners('readable');
  message.resume();
}
