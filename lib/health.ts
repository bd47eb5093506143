import type { Storage } from './storage/storage.ts';

/** Asks the cache for an answer, in bounded time. Gives the milliseconds it took; null: there was none. */
export type PingCache = () => Promise<number | null>;

export interface Health {
  status: 'ok' | 'degraded' | 'down';
  checks: {
    database: { ok: boolean; latency_ms: number };
    /** Without one nothing is missing. */
    cache: { ok: boolean; configured: boolean; latency_ms?: number };
  };
}

/** Asks the storage for its clock, and the cache. Bounded: a storage that hangs is down, a cache only slows reads. */
export async function checkHealth(storage: Storage, pingCache: PingCache | null): Promise<Health> {
  const started = performance.now();
  const [database, cache] = await Promise.all([
    storage.ping().then(
      () => ({ ok: true, latency_ms: tenths(performance.now() - started) }),
      () => ({ ok: false, latency_ms: tenths(performance.now() - started) }),
    ),
    checkCache(pingCache),
  ]);
  const status = database.ok ? (cache.ok ? 'ok' : 'degraded') : 'down';
  return { status, checks: { database, cache } };
}

async function checkCache(ping: PingCache | null): Promise<Health['checks']['cache']> {
  if (ping === null) return { ok: true, configured: false };
  const latency = await ping();
  return latency === null
    ? { ok: false, configured: true }
    : { ok: true, configured: true, latency_ms: tenths(latency) };
}

const tenths = (ms: number) => Math.round(ms * 10) / 10;
