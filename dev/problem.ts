import { BatonError } from '../lib/errors.ts';
import { problem } from '../lib/http/problem.ts';

/** An answer of the server itself, in the form the functions use for their own. */
export const refuse = (error: BatonError, headers: Record<string, string> = {}): Response =>
  problem(error, { 'cache-control': 'no-store', ...headers });

/** @param allow what the path takes, as `Allow` lists it */
export const refuseMethod = (allow: string, headers: Record<string, string> = {}): Response =>
  refuse(new BatonError('method_not_allowed', `Use a method that this path takes: ${allow}`), {
    allow,
    ...headers,
  });
