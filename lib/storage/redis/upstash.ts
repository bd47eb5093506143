import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../../errors.ts';
import { postToUpstash, type UpstashAccess } from '../upstash.ts';

/** Milliseconds until a call counts as failed, connecting included. */
const TIMEOUT = 5_000;
/** A call that took longer than this (ms) before it broke is not begun again: the caller has waited enough. */
const SOON = 1_000;

export type Command = readonly [name: string, ...words: (string | number)[]];
/** What Redis said to one command. */
export type Answer = { result: unknown } | { error: string };

/**
 * Sends commands in one round trip, and gives the answer to each.
 *
 * @throws {BatonError} `storage_unavailable`: nobody knows what happened
 */
export type Send = (commands: readonly Command[], repeatable: boolean) => Promise<Answer[]>;

/** Upstash Redis, commands in pipelines. @param timeoutMs milliseconds after which it counts as away */
export function openUpstash(access: UpstashAccess, timeoutMs = TIMEOUT): Send {
  const post = async (commands: readonly Command[]): Promise<Answer[]> => {
    const { status, told } = await postToUpstash(access, '/pipeline', commands, timeoutMs);
    if (Array.isArray(told) && told.length === commands.length) return told as Answer[];
    throw new Error(`Redis refused a call: HTTP ${status}`);
  };
  return async (commands, repeatable) => {
    const started = performance.now();
    for (let attempt = 1; ; attempt++) {
      try {
        return await post(commands);
      } catch {
        // what it says may hold the token's place, never what a caller can use
        if (!repeatable || attempt > 1 || performance.now() - started > SOON) {
          throw new BatonError(
            'storage_unavailable',
            'Redis cannot be reached; try again in a few seconds',
          );
        }
        await sleep(10);
      }
    }
  };
}
