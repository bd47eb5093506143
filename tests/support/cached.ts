import type { Breaker } from '../../lib/storage/breaker.ts';
import { createCache, type CacheOptions } from '../../lib/storage/cache/cache.ts';
import { cacheStorage } from '../../lib/storage/cache/cached-storage.ts';
import { openUpstash, type SendCommand } from '../../lib/storage/cache/upstash.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import { type Harness, type Open, openPostgres } from './storage.ts';
import type { UpstashBridge, UpstashEntrance } from './upstash-bridge.ts';

/** A storage behind a cache, as one instance of a deployment has it. */
export interface Instance {
  storage: Storage;
  fresh: Storage;
  /** Between the instance and the cache. */
  breaker: Breaker;
  /** What the cache told: hit, miss, passed, unreachable, back. */
  told: string[];
  /** Waits for what goes on after the answers. */
  settled(): Promise<void>;
}

interface InstanceOptions extends Partial<CacheOptions> {
  timeoutMs?: number;
  ttlMs?: number;
  /** What stands between the instance and the wire. */
  wire?(send: SendCommand): SendCommand;
}

/** @param options milliseconds; left out: as deployed, but for a patience that a busy machine does not try */
export function openInstance(
  inner: Storage,
  entrance: Pick<UpstashEntrance, 'url' | 'token'>,
  options: InstanceOptions = {},
): Instance {
  const { timeoutMs = 30_000, ttlMs = 10_000, wire = (send) => send, ...others } = options;
  const told: string[] = [];
  const work = new Set<Promise<unknown>>();
  const cache = createCache(wire(openUpstash(entrance, timeoutMs)), {
    prefix: 'test',
    leaseMs: 20_000,
    breakerMs: 1_000,
    later(promise) {
      work.add(promise);
      void promise.finally(() => work.delete(promise));
    },
    notice: (event) => void told.push(event),
    ...others,
  });
  return {
    ...cacheStorage(inner, cache, ttlMs),
    breaker: cache.breaker,
    told,
    async settled() {
      while (work.size > 0) await Promise.all(work);
    },
  };
}

/**
 * PostgreSQL with the cache in front, which forgets everything where a test reaches past the storage: what is moved
 * behind its back a cache cannot know.
 */
export const openCached =
  (bridge: UpstashBridge, entrance: UpstashEntrance): Open =>
  async (some) => {
    const harness = await openPostgres(some);
    const { storage, settled } = openInstance(harness.storage, entrance);
    const past =
      <Args extends unknown[]>(reach: (...args: Args) => Promise<void>) =>
      async (...args: Args): Promise<void> => {
        await settled();
        await reach(...args);
        await bridge.redis.send(['FLUSHALL']);
      };
    await bridge.redis.send(['FLUSHALL']);
    return {
      ...harness,
      storage,
      shift: past(harness.shift),
      age: past(harness.age),
      deleteRow: past(harness.deleteRow),
      async close() {
        await settled();
        await harness.close();
      },
    } satisfies Harness;
  };
