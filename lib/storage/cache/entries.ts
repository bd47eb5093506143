import * as z from 'zod/mini';
import { isJsonObject, type JsonObject, parseJson } from '../../json.ts';
import type { Lock, StateDocument, Timed, Version } from '../storage.ts';
import type { Kept } from './cache.ts';

/** Characters of an entry; a larger document is read where it lies. */
const LARGEST = 65_536;

type LockRead = Timed & { lock: Lock | null };
type StateRead = Timed & StateDocument;

/** How an answer of the storage is kept, and read again. */
export interface Entry<T extends Timed> {
  /**
   * @param before the cache's clock at a moment before the storage read its own
   * @returns null: not to be kept
   */
  keep(read: T, before: number): Kept;
  /** @param at the cache's clock; null: nothing that was kept by this version */
  revive(value: string, at: number): T | null;
}

const time = z.pipe(
  z.number(),
  z.transform((ms) => new Date(ms)),
);
const version = z.string();

const keptLock = z.object({
  /** Both clocks, read in this order. */
  before: z.number(),
  now: z.number(),
  lock: z.nullable(
    z.object({
      agent: z.string(),
      lockedAt: time,
      expiresAt: time,
      sessionTtl: z.number(),
      version,
    }),
  ),
});

const keptState = z.object({
  before: z.number(),
  now: z.number(),
  // as it is: a record of zod's would drop `__proto__`
  state: z.custom<JsonObject>(isJsonObject),
  version: z.nullable(version),
  updatedAt: z.nullable(time),
});

/** The storage's clock, as far as the cache's has gone on since. Never behind it: an end is not seen too late. */
const nowAt = (kept: { before: number; now: number }, at: number) =>
  new Date(kept.now + at - kept.before);

function keep(before: number, { now }: Timed, content: object, until: number): Kept {
  const value = JSON.stringify({ before, now: now.getTime(), ...content });
  return value.length > LARGEST ? null : { value, end: Math.floor(before + until) };
}

/** The lock's own end is the entry's, at the latest: a past end is an absence. @param ttlMs for which an entry lives */
export const lockEntry = (ttlMs: number): Entry<LockRead> => ({
  keep({ now, lock }, before) {
    const left = lock === null ? Infinity : lock.expiresAt.getTime() - now.getTime();
    const content = lock && {
      ...lock,
      lockedAt: lock.lockedAt.getTime(),
      expiresAt: lock.expiresAt.getTime(),
    };
    return keep(before, { now }, { lock: content }, Math.min(ttlMs, left));
  },
  revive(value, at) {
    const { data: kept } = keptLock.safeParse(parseJson(value));
    if (kept === undefined) return null;
    const now = nowAt(kept, at);
    const { lock } = kept;
    if (lock === null || lock.expiresAt <= now) return { now, lock: null };
    return { now, lock: { ...lock, version: lock.version as Version } };
  },
});

/** @param ttlMs for which an entry lives */
export const stateEntry = (ttlMs: number): Entry<StateRead> => ({
  keep({ now, state, version: of, updatedAt }, before) {
    const content = { state, version: of, updatedAt: updatedAt?.getTime() ?? null };
    return keep(before, { now }, content, ttlMs);
  },
  revive(value, at) {
    const { data: kept } = keptState.safeParse(parseJson(value));
    if (kept === undefined) return null;
    return {
      now: nowAt(kept, at),
      state: kept.state,
      version: kept.version as Version | null,
      updatedAt: kept.updatedAt,
    };
  },
});
