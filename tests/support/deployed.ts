import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { LogEvent } from '../../lib/log.ts';

/** A deployment that serves, in a process of its own. */
export interface Deployed {
  url: string;
  /** What its functions logged. */
  events: LogEvent[];
  /** Resolves once everything logged so far stands in `events`. */
  flushed(): Promise<void>;
  /** Waits for the work that goes on after the answers. */
  settled(): Promise<void>;
  /** SIGKILL, as the platform does to a function at its time limit. */
  kill(): Promise<void>;
}

/**
 * Starts what was compiled; a process each, so that nothing of the test is in it.
 *
 * @param env its whole environment, but for PATH
 */
export async function serve(
  checkout: string,
  output: string,
  env: Record<string, string>,
): Promise<Deployed> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'served.ts'), checkout, output],
    {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  child.stdin.on('error', () => {}); // it may be gone
  const exited = once(child, 'exit');
  const events: LogEvent[] = [];
  const waiting = new Map<string, () => void>();
  const serving = Promise.withResolvers<string>();
  child.on('exit', () => {
    serving.reject(new Error('the deployment ended before it served'));
    for (const told of waiting.values()) told();
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as LogEvent | { serving: string } | { told: string };
    if ('serving' in said) serving.resolve(String(said.serving));
    else if ('told' in said) waiting.get(String(said.told))?.();
    else events.push(said);
  });

  let asked = 0;
  const tell = async (what: string): Promise<void> => {
    const line = `${what} ${++asked}`;
    const told = Promise.withResolvers<void>();
    waiting.set(line, told.resolve);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.stdin.write(`${line}\n`);
    await told.promise;
    waiting.delete(line);
  };
  return {
    url: await serving.promise,
    events,
    flushed: () => tell('flush'),
    settled: () => tell('settle'),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Sends a request over the wire, whatever its method, and reads the whole answer. */
export async function sendOver(url: string, asked: Request): Promise<Response> {
  const { pathname, search } = new URL(asked.url);
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const headers = new Headers(asked.headers);
  // left to itself, Node frames no body of a DELETE
  if (asked.body !== null && !headers.has('content-length'))
    headers.set('transfer-encoding', 'chunked');
  const outgoing = request(
    url + pathname + search,
    { method: asked.method, headers: Object.fromEntries(headers) },
    (incoming) => void toResponse(incoming).then(resolve, reject),
  );
  // the answer may come, and the connection go, before all of the body is sent
  outgoing.on('error', reject);
  outgoing.flushHeaders();
  if (asked.body === null) outgoing.end();
  else {
    const body = Readable.fromWeb(asked.body);
    body.on('error', () => {});
    body.pipe(outgoing);
    const stop = () => {
      body.destroy();
      // its connection must not be taken for another request, which would begin in the middle of this body
      if (!outgoing.writableFinished) outgoing.destroy();
    };
    promise.finally(stop).catch(() => {});
  }
  return promise;
}

async function toResponse(incoming: IncomingMessage): Promise<Response> {
  const body = await buffer(incoming);
  const { statusCode: status = 0 } = incoming;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const each of [value ?? []].flat()) headers.append(name, each);
  }
  return new Response([204, 304].includes(status) ? null : new Uint8Array(body), {
    status,
    headers,
  });
}
