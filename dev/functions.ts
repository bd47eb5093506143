import { AsyncLocalStorage } from 'node:async_hooks';
import { pathToFileURL } from 'node:url';
import { refuseMethod } from './problem.ts';

type Handler = (request: Request) => Response | Promise<Response>;

/** Keeps work alive that goes on after the answer. */
export type WaitUntil = (work: Promise<unknown>) => void;

/** A function's file that cannot be loaded: its message tells the developer why. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
}

const exportable = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const scope = new AsyncLocalStorage<{ waitUntil: WaitUntil }>();

// Where `waitUntil` of @vercel/functions looks for the platform, by this name.
Object.assign(globalThis, {
  [Symbol.for('@vercel/request-context')]: { get: () => scope.getStore() },
});

/**
 * Calls the function of a file, as Vercel does: its export named like the method, or GET for a method
 * that has no name among the exports, so that the function itself can refuse it.
 *
 * @throws {LoadError} when the file does not load; else whatever the function throws.
 */
export async function callFunction(
  file: string,
  request: Request,
  waitUntil: WaitUntil,
): Promise<Response> {
  const handlers = await loadHandlers(file);
  const method = exportable.includes(request.method) ? request.method : 'GET';
  const handler = handlers.get(method);
  if (!handler) return refuseMethod([...handlers.keys()].join(', '));
  const response: unknown = await scope.run({ waitUntil }, () => handler(request));
  if (response instanceof Response) return response;
  throw new TypeError(`${method} in ${file} did not return a Response`);
}

/**
 * Refuses a method that a Request cannot carry, such as TRACE, with what the function allows and the id by which it
 * knows the call.
 *
 * @param options the call as an OPTIONS request
 */
export async function refuseForbidden(
  file: string,
  options: Request,
  waitUntil: WaitUntil,
): Promise<Response> {
  const answer = await callFunction(file, options, waitUntil);
  await answer.body?.cancel();
  const id = answer.headers.get('x-request-id');
  return refuseMethod(answer.headers.get('allow') ?? exportable.join(', '), {
    ...(id !== null && { 'x-request-id': id }),
  });
}

async function loadHandlers(file: string): Promise<Map<string, Handler>> {
  const module = await load(file);
  const found = new Map<string, Handler>();
  for (const name of exportable) {
    const value: unknown = Reflect.get(module, name);
    if (isHandler(value)) found.set(name, value);
  }
  return found;
}

/** What a function's file exports. @throws {LoadError} */
export async function load(file: string): Promise<object> {
  try {
    return (await import(pathToFileURL(file).href)) as object;
  } catch (error) {
    throw new LoadError(`${file} cannot be loaded: ${String(error)}`, { cause: error });
  }
}

function isHandler(value: unknown): value is Handler {
  return typeof value === 'function';
}
