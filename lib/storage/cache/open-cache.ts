import { createHash } from 'node:crypto';
import type { Breaker } from '../breaker.ts';
import type { Storage } from '../storage.ts';
import { cacheStorage } from './cached-storage.ts';
import { type CacheOptions, createCache } from './cache.ts';
import { openUpstash } from './upstash.ts';

/** Milliseconds a writer's intent counts. A statement is given up after eight seconds, repeated and all. */
const LEASE = 20_000;
/** Milliseconds between two looks at a cache that did not answer. */
const PERIOD = 1_000;

interface CacheSettings {
  url: string;
  token: string;
  /** Milliseconds. */
  timeoutMs: number;
  ttlMs: number;
  /** The storage's own address: two databases may share a Redis, as previews and production do. */
  of: string;
}

/**
 * Puts Upstash Redis in front of a storage.
 *
 * @returns `storage`; `fresh`, which reads past the cache; `ping`, the milliseconds until the cache answers, or null;
 *   `breaker`, for whatever else is asked of this Redis
 */
export function openCache(
  inner: Storage,
  { url, token, timeoutMs, ttlMs, of }: CacheSettings,
  hooks: Pick<CacheOptions, 'later' | 'notice'>,
): { storage: Storage; fresh: Storage; ping: () => Promise<number | null>; breaker: Breaker } {
  const { host, pathname } = new URL(of);
  const name = createHash('sha256').update(`${host}${pathname}`).digest('hex').slice(0, 16);
  const cache = createCache(openUpstash({ url, token }, timeoutMs), {
    prefix: `baton:1:${name}`,
    leaseMs: LEASE,
    breakerMs: PERIOD,
    ...hooks,
  });
  return { ...cacheStorage(inner, cache, ttlMs), ping: () => cache.ping(), breaker: cache.breaker };
}
