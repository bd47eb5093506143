import * as z from 'zod/mini';

/** Sends one command and gives its result. Rejects when there is no answer in time, or a refusal. */
export type SendCommand = (words: readonly (string | number)[]) => Promise<unknown>;

const answer = z.union([z.object({ result: z.unknown() }), z.object({ error: z.string() })]);

/**
 * Upstash Redis over its REST protocol: a command is a POST of its words. Their client would be 78 KB in the file that
 * every cold start reads, with or without a cache, and repeats and batches what must be sent once and be over in time.
 *
 * @param timeoutMs milliseconds until a command counts as failed, connecting included
 */
export function openUpstash(
  { url, token }: { url: string; token: string },
  timeoutMs: number,
): SendCommand {
  return async (words) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(words),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const told = answer.parse(await response.json());
    if ('result' in told) return told.result;
    throw new RefusedError(response.status);
  };
}

/** What Redis says of it may hold the command. */
class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: string;

  constructor(status: number) {
    super('the cache refused a command');
    this.code = `HTTP_${status}`;
  }
}
