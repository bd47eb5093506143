import { waitUntil } from '@vercel/functions';
import { type App, currentApp, openedApp } from '../app.ts';
import { count } from '../counters.ts';
import { BatonError } from '../errors.ts';
import type { Frame } from '../frame.ts';
import { describeError, log } from '../log.ts';
import type { DeviceId } from '../storage/storage.ts';
import { type Caller, identify } from './access.ts';
import { corsHeaders, SECURITY_HEADERS } from './browsers.ts';
import { parseDeviceId } from './device-id.ts';
import { type Access, type Method, type Operations, operations, type Path } from './operations.ts';
import { problem } from './problem.ts';
import { rateHeaders } from './rate-headers.ts';

/** Seconds a function may run (vercel.json), less what COMMIT and SETTLE of the last turn need. */
export const FUNCTION_SECONDS = 300;
const MARGIN_SECONDS = 15;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** One request, with what every handler needs of it. */
export interface Call {
  readonly request: Request;
  readonly url: URL;
  /** What stands in the path for each `{name}` of the route's, as the caller wrote it. */
  readonly params: Readonly<Record<string, string>>;
  readonly app: App;
  readonly frame: Frame;
  readonly caller: Caller;
  /**
   * The device of X-Device-ID, which is the caller's own where that is a device.
   *
   * @throws {BatonError} `invalid_device_id`
   */
  device(): DeviceId;
  /** Work that goes on after the answer; the platform keeps the function alive for it. */
  keep(work: Promise<unknown>): void;
}

export type Handler = (call: Call) => Promise<Response>;

/** One for each method of a path's row in operations.ts, no more and no fewer. */
type Handlers<P extends Path> = { readonly [M in keyof Operations[P]]: Handler };

/** What a function exports: one dispatcher under every method's name. */
type Exports = Record<(typeof METHODS)[number], (request: Request) => Promise<Response>>;

/** The exports of a function that serves one path. */
export function route<P extends Path>(path: P, handlers: Handlers<P>): Exports {
  return serveWith([toEntry(path, handlers)]);
}

/**
 * Makes the exports of a function: one dispatcher under every method's name, since the platform answers a method
 * that is not exported by itself, without `Allow`. Here stands what all routes share: request ids, methods,
 * credentials, errors, what browsers are told, and the sweep.
 *
 * @param table handlers by path
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it ties each path to its own handlers
export function routes<P extends Path>(table: { readonly [Q in P]: Handlers<Q> }): Exports {
  const entries = Object.entries<Handlers<P>>(table).map(([path, handlers]) =>
    toEntry(path as P, handlers),
  );
  // a path that asks for something in the query goes before the same path without
  return serveWith(entries.toSorted((a, b) => b.query.size - a.query.size));
}

/** Every dispatcher there is. */
const made = new WeakSet<object>();

/** Whether this is a dispatcher: whatever else a function's file exports would ask nobody who they are. */
export const isRoute = (value: unknown): boolean => typeof value === 'function' && made.has(value);

function serveWith(entries: readonly Entry[]): Exports {
  const serve = async (request: Request): Promise<Response> => {
    const given = request.headers.get('x-request-id') ?? '';
    const shown = /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : crypto.randomUUID();
    // the caller's id is for its logs; turns are owned by an id nobody else can send
    const frame: Frame = {
      requestId: crypto.randomUUID(),
      endsAt: performance.now() + (FUNCTION_SECONDS - MARGIN_SECONDS) * 1_000,
    };
    const url = new URL(request.url);
    const path = url.pathname.replace(/(?<=.)\/$/, '');
    const entry = entries.find((each) => isMeant(each, path, url)) ?? NOWHERE;
    const params = entry.pattern.exec(path)?.groups ?? {};
    const response = await answer({ request, url, params, frame }, entry).catch((error: unknown) =>
      refuse(error, shown, entry),
    );
    keep(writeCounts());
    response.headers.set('x-request-id', shown);
    const told = {
      ...SECURITY_HEADERS,
      ...rateHeaders(frame),
      ...(await shareWith(request, entry)),
    };
    for (const [name, value] of Object.entries(told)) response.headers.set(name, value);
    return request.method === 'HEAD' ? new Response(null, response) : response;
  };
  made.add(serve);
  return {
    GET: serve,
    HEAD: serve,
    POST: serve,
    PUT: serve,
    PATCH: serve,
    DELETE: serve,
    OPTIONS: serve,
  };
}

/** A path of a function, and what it takes there. */
interface Entry {
  path: string;
  pattern: RegExp;
  /** What the query must hold. */
  query: URLSearchParams;
  handlers: Readonly<Partial<Record<string, Handler>>>;
  access: Readonly<Partial<Record<string, Access>>>;
  /** For `Allow`. */
  allowed: string;
}

function toEntry<P extends Path>(path: P, handlers: Handlers<P>): Entry {
  const [pathname = '', query] = path.split('?');
  const access: Partial<Record<Method, Access>> = operations[path];
  const allowed = METHODS.filter(
    (method) => method === 'OPTIONS' || access[method === 'HEAD' ? 'GET' : method] !== undefined,
  );
  return {
    path: pathname,
    pattern: new RegExp(`^${pathname.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`),
    query: new URLSearchParams(query),
    handlers,
    access,
    allowed: allowed.join(', '),
  };
}

const NOWHERE: Entry = {
  path: 'none',
  pattern: /(?!)/,
  query: new URLSearchParams(),
  handlers: {},
  access: {},
  allowed: '',
};

function isMeant({ pattern, query }: Entry, path: string, { searchParams }: URL): boolean {
  return (
    pattern.test(path) && [...query].every(([name, value]) => searchParams.get(name) === value)
  );
}

async function answer(
  asked: Pick<Call, 'request' | 'url' | 'params' | 'frame'>,
  entry: Entry,
): Promise<Response> {
  const { request, frame } = asked;
  if (entry === NOWHERE)
    throw new BatonError(
      'not_found',
      'There is nothing at this path; see /openapi.json for those that there are',
    );
  if (request.method === 'OPTIONS')
    return new Response(null, { status: 204, headers: { allow: entry.allowed } });
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const [handler, access] = [entry.handlers[method], entry.access[method]];
  if (handler === undefined || access === undefined)
    throw new BatonError(
      'method_not_allowed',
      `Use a method that this path takes: ${entry.allowed}`,
    );
  const app = askedOf(request, await currentApp());
  const caller = await identify(request.headers, app.config, access);
  const device = () => parseDeviceId(request.headers.get('x-device-id'));
  try {
    return await handler({ ...asked, app, caller, device, keep });
  } finally {
    // also after a refusal; whoever asks for health gets no work done by it, and the cron does the same itself
    if (access !== 'public' && access !== 'cron') keep(app.sweep(frame));
  }
}

function keep(work: Promise<unknown>): void {
  waitUntil(work.catch((error: unknown) => log('error', 'work_failed', describeError(error))));
}

/** A call that needed no app, such as one for a path that is not there, opens none for this. */
async function writeCounts(): Promise<void> {
  const app = await openedApp();
  await app?.writeCounts();
}

/** RFC 9111, 5.2.1.4: who sends `no-cache` wants the database's own word. */
function askedOf(request: Request, app: App): App {
  const wishes = request.headers.get('cache-control') ?? '';
  return /(^|[,\s])no-cache([,\s]|$)/i.test(wishes) ? { ...app, storage: app.fresh } : app;
}

/** What pages of other origins may do with the answer, where one asks and the settings can be read. */
async function shareWith(request: Request, { access }: Entry): Promise<Record<string, string>> {
  if (!request.headers.has('origin')) return {};
  const app = await currentApp().catch(() => null);
  return app === null ? {} : corsHeaders(request, app.config, access);
}

/** The answer to whatever was thrown: a refusal says why, anything else is a fixed sentence and a line in the log. */
function refuse(error: unknown, requestId: string, { path, allowed }: Entry): Response {
  count('errors', error instanceof BatonError ? error.code : 'internal_error');
  if (error instanceof BatonError) {
    const headers = error.code === 'method_not_allowed' ? { allow: allowed } : {};
    const response = problem(error, headers);
    if (response.status >= 500)
      log('error', 'refused', {
        path,
        code: error.code,
        request_id: requestId,
        ...describeError(error),
      });
    return response;
  }
  log('error', 'unexpected', { path, request_id: requestId, ...describeError(error) });
  return problem(
    new BatonError(
      'internal_error',
      `Something went wrong; look for request id ${requestId} in the log`,
    ),
  );
}

/** A JSON answer. */
export function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers });
}
