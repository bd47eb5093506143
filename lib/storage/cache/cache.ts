import * as z from 'zod/mini';
import { type Breaker, createBreaker } from '../breaker.ts';
import { FILL, FIND, MARK, SETTLE } from './scripts.ts';
import type { SendCommand } from './upstash.ts';

/**
 * What a read came to (`busy`: past an entry that is being written, `passed`: past a cache that is away), or what became
 * of the cache itself.
 */
export type CacheEvent = 'hit' | 'miss' | 'busy' | 'passed' | 'unreachable' | 'back';

export interface CacheOptions {
  /** Begins every key: deployments that share a Redis but not a database must not share entries. */
  prefix: string;
  /** Milliseconds for which a writer's intent counts: longer than any write takes. */
  leaseMs: number;
  /** Milliseconds between two looks at a cache that did not answer. */
  breakerMs: number;
  /** Takes work that nobody waits for; it never rejects. */
  later(work: Promise<unknown>): void;
  /** Told of every read, and of the cache's going (with the error) and coming back. */
  notice(event: CacheEvent, error?: unknown): void;
}

/** What was found: a value, or the right to fill its place. `at`: the time of the cache's own clock. */
export type Found = { at: number } & ({ value: string } | { claim: string });

/** A value and its end by the cache's clock; null: it is not to be kept. */
export type Kept = { value: string; end: number } | null;

/** The intent of a writer. */
export interface Mark {
  token: string;
  /** false: the cache could not be told. */
  stands: boolean;
}

/**
 * Entries that are never older than the last write that was acknowledged, while the cache can be reached; else no
 * older than the TTL. How: a writer marks its intent before it writes, and while a mark stands no reader is given the
 * entry or may fill it. What a reader brings late is not kept.
 */
export interface Cache {
  /** Whoever else asks the same Redis goes through it too: what does not answer is waited for once. */
  readonly breaker: Breaker;
  /** null: ask the database, and keep nothing. */
  find(key: string): Promise<Found | null>;
  fill(key: string, claim: string, kept: NonNullable<Kept>): void;
  /** @param keys null: which ones, only the write can tell */
  mark(keys: readonly string[] | null): Promise<Mark>;
  /**
   * The write is done; its acknowledgement waits for this.
   *
   * @param keys what may have changed; null: nobody can tell
   */
  settle(mark: Mark, keys: readonly string[] | null): Promise<void>;
  /** Milliseconds until it answered; null: it did not. */
  ping(): Promise<number | null>;
}

const found = z.union([
  z.tuple([z.literal('hit'), z.number(), z.string()]),
  z.tuple([z.literal('miss'), z.number(), z.string()]),
  z.tuple([z.literal('busy')]),
]);

export function createCache(send: SendCommand, options: CacheOptions): Cache {
  const { prefix, leaseMs, breakerMs, later, notice } = options;
  const breaker = createBreaker(
    breakerMs,
    () => send(['PING']),
    later,
    (error) => (error === null ? notice('back') : notice('unreachable', error)),
  );
  const run = (script: string, keys: readonly string[], ...args: (string | number)[]) =>
    // EVAL, not EVALSHA: one request also after a restart has forgotten the scripts
    send([
      'EVAL',
      script,
      keys.length + 1,
      `${prefix}:all`,
      ...keys.map((key) => `${prefix}:${key}`),
      ...args,
    ]);

  return {
    breaker,
    async find(key) {
      const reply = await breaker.run(async () =>
        found.parse(await run(FIND, [key], crypto.randomUUID(), leaseMs)),
      );
      notice(reply?.[0] ?? 'passed');
      if (reply === null || reply[0] === 'busy') return null;
      const [outcome, at, given] = reply;
      return outcome === 'hit' ? { at, value: given } : { at, claim: given };
    },
    fill(key, claim, { value, end }) {
      later(breaker.run(() => run(FILL, [key], crypto.randomUUID(), claim, value, end)));
    },
    async mark(keys) {
      const token = crypto.randomUUID();
      const at = await breaker.run(() => run(MARK, keys ?? [], token, leaseMs));
      return { token, stands: at !== null };
    },
    async settle({ token, stands }, keys) {
      const settling = () => run(SETTLE, keys ?? [], token);
      if (stands && !breaker.isOpen) await breaker.run(settling);
      // nobody waits for what does not answer, but others may reach it: what they hold is not to outlive the write
      else later(settling().catch(() => {}));
    },
    async ping() {
      const started = performance.now();
      return send(['PING']).then(
        () => performance.now() - started,
        () => null,
      );
    },
  };
}
