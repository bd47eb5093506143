import { afterEach, beforeEach, vi } from 'vitest';
import { type Client, createClient } from '../../lib/client.ts';
import type { ClientOptions } from '../../lib/client-types.ts';

type Step = Response | Error | (() => Promise<Response>);

/** A client whose calls are answered one after the other, and what it sent. */
export function scripted(
  steps: Step[],
  options: ClientOptions = {},
): { client: Client; sent: Request[] } {
  const sent: Request[] = [];
  const client = createClient({
    url: 'https://baton.example/',
    ...options,
    async fetch(url, init) {
      sent.push(new Request(url, init));
      const step = steps.shift();
      if (step === undefined) throw new Error('one call too many');
      if (step instanceof Error) throw step;
      return step instanceof Response ? step : step();
    },
  });
  return { client, sent };
}

export const ok = (body: object = {}) => Response.json(body);
export const refusal = (status: number, code: string, headers: Record<string, string> = {}) =>
  Response.json(
    { type: 'about:blank', title: 'x', status, detail: `because of ${code}`, code },
    {
      status,
      headers: { 'content-type': 'application/problem+json', 'x-request-id': 'r1', ...headers },
    },
  );
export const away = () => refusal(503, 'storage_unavailable', { 'retry-after': '2' });
export const cut = () => new TypeError('fetch failed');

/** For all tests of a file: the client's pauses pass when they are told to. */
export function passPauses(): void {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());
}

/** The result of a call or what it threw, its pauses passed at once; the file has called `passPauses`. */
export async function outcome<T>(call: Promise<T>): Promise<unknown> {
  const settled = call.catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return settled;
}
