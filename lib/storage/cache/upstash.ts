import * as z from 'zod/mini';
import { postToUpstash, type UpstashAccess } from '../upstash.ts';

/** Sends one command and gives its result. Rejects when there is no answer in time, or a refusal. */
export type SendCommand = (words: readonly (string | number)[]) => Promise<unknown>;

const answer = z.union([z.object({ result: z.unknown() }), z.object({ error: z.string() })]);

/**
 * Upstash Redis, a command at a time.
 *
 * @param timeoutMs milliseconds until a command counts as failed, connecting included
 */
export function openUpstash(access: UpstashAccess, timeoutMs: number): SendCommand {
  return async (words) => {
    const { status, told } = await postToUpstash(access, '/', words, timeoutMs);
    const parsed = answer.parse(told);
    if ('result' in parsed) return parsed.result;
    throw new RefusedError(status);
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
