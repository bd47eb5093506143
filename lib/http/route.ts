import { waitUntil } from '@vercel/functions';
import { type App, currentApp } from '../app.ts';
import { BatonError } from '../errors.ts';
import { describeError, log } from '../log.ts';
import type { DeviceId } from '../storage/storage.ts';
import type { Frame } from '../turn.ts';
import { type Access, authorize } from './access.ts';
import { parseDeviceId } from './device-id.ts';
import { problem } from './problem.ts';

/** Seconds a function may run (vercel.json), less what COMMIT and SETTLE of the last turn need. */
const FUNCTION_SECONDS = 300;
const MARGIN_SECONDS = 15;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
type Method = (typeof METHODS)[number];
type Answering = Exclude<Method, 'HEAD' | 'OPTIONS'>;

/** One request, with what every handler needs of it. */
export interface Call {
  readonly request: Request;
  readonly url: URL;
  readonly app: App;
  readonly frame: Frame;
  /** @throws {BatonError} `invalid_device_id` */
  device(): DeviceId;
  /** Work that goes on after the answer; the platform keeps the function alive for it. */
  keep(work: Promise<unknown>): void;
}

export type Handler = (call: Call) => Promise<Response>;

interface Route {
  /** The URL's path; a function is also reached by rewrites, which keep the path they came from. */
  path: string;
  access: Access;
  /** Whether to look for turns that somebody let fall once the answer is out. */
  sweeps: boolean;
}

/**
 * Makes the exports of a function: one dispatcher under every method's name, since the platform answers a method
 * that is not exported by itself, without `Allow`. Here stands what all routes share: request ids, methods,
 * credentials, errors, and the sweep.
 */
export function route(
  { path, access, sweeps }: Route,
  handlers: Partial<Record<Answering, Handler>>,
): Record<Method, (request: Request) => Promise<Response>> {
  const allowed = METHODS.filter(
    (method) => method === 'OPTIONS' || handlers[method === 'HEAD' ? 'GET' : method] !== undefined,
  ).join(', ');

  const answer = async (request: Request, frame: Frame): Promise<Response> => {
    const url = new URL(request.url);
    if (url.pathname.replace(/(?<=.)\/$/, '') !== path) {
      throw new BatonError('not_found', 'There is nothing at this path');
    }
    if (request.method === 'OPTIONS')
      return new Response(null, { status: 204, headers: { allow: allowed } });
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const handler = handlers[method as Answering];
    if (handler === undefined)
      throw new BatonError('method_not_allowed', `This path takes ${allowed}`);
    const app = currentApp();
    authorize(request.headers, app.config, access);
    const device = () => parseDeviceId(request.headers.get('x-device-id'));
    const keep = (work: Promise<unknown>) =>
      waitUntil(work.catch((error: unknown) => log('error', 'work_failed', describeError(error))));
    const response = await handler({ request, url, app, frame, device, keep });
    if (sweeps) keep(app.sweep(frame));
    return response;
  };

  const serve = async (request: Request): Promise<Response> => {
    const given = request.headers.get('x-request-id') ?? '';
    const shown = /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : crypto.randomUUID();
    // the caller's id is for its logs; turns are owned by an id nobody else can send
    const frame = {
      requestId: crypto.randomUUID(),
      endsAt: performance.now() + (FUNCTION_SECONDS - MARGIN_SECONDS) * 1_000,
    };
    const response = await answer(request, frame).catch((error: unknown) =>
      refuse(error, shown, path, allowed),
    );
    response.headers.set('x-request-id', shown);
    response.headers.set('cache-control', 'no-store');
    return request.method === 'HEAD' ? new Response(null, response) : response;
  };
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

/** The answer to whatever was thrown: a refusal says why, anything else is a fixed sentence and a line in the log. */
function refuse(error: unknown, requestId: string, path: string, allowed: string): Response {
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
      `Something went wrong; the log has more under request id ${requestId}`,
    ),
  );
}

/** A JSON answer. */
export function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers });
}
