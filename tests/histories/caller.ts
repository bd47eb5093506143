import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { BatonError } from '../../lib/errors.ts';
import type { StorageLimits } from '../../lib/storage/limits.ts';
import { createPostgresStorage } from '../../lib/storage/postgres/postgres-storage.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import type { BrokenTry, Call, CallOf, Kind, Result, Value } from './history.ts';

/** By this name the killer knows whom it may terminate. */
export const VICTIM = 'baton-histories';

/** A connection of its own to the storage, one call at a time, each written down. */
export interface Caller {
  call<K extends Kind>(kind: K, ...args: Parameters<Storage[K]>): Promise<Result<Value<K>>>;
  close(): Promise<void>;
}

export interface CallerOptions {
  url: string;
  limits: StorageLimits;
  /** Where calls are written down, in the order in which they end. */
  calls: Call[];
  worker: number;
  /** false: the killer leaves it alone. */
  mortal?: boolean;
}

/** Opens a caller; it connects with its first call, and again after each kill. */
export function openCaller({ url, limits, calls, worker, mortal = true }: CallerOptions): Caller {
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
    application_name: mortal ? VICTIM : 'baton-witness',
  });
  pool.on('error', () => {});
  const tries = watchTries(pool);
  const storage = createPostgresStorage(drizzle(pool), limits);
  return {
    async call<K extends Kind>(kind: K, ...args: Parameters<Storage[K]>) {
      const invoked = performance.now();
      // a cast, because a method of a union is not known to take the arguments of the same union's member
      const method = storage[kind] as (...args: Parameters<Storage[K]>) => Promise<Value<K>>;
      const result = await outcomeOf(method.apply(storage, args));
      const responded = performance.now();
      const broken = tries.splice(0);
      const call: CallOf<K> = {
        id: calls.length,
        worker,
        invoked,
        responded,
        broken,
        kind,
        args,
        result,
      };
      calls.push(call as Call);
      return result;
    },
    close: () => pool.end(),
  };
}

async function outcomeOf<T>(answer: Promise<T>): Promise<Result<T>> {
  try {
    return { known: true, value: await answer };
  } catch (error) {
    return { known: false, code: error instanceof BatonError ? error.code : String(error) };
  }
}

/** The failed tries of the call under way: the pool hands a connection out for each, and gets it back with its error. */
function watchTries(pool: pg.Pool): BrokenTry[] {
  const broken: BrokenTry[] = [];
  let from = 0;
  pool.on('acquire', () => {
    from = performance.now();
  });
  pool.on('release', (error: Error | undefined) => {
    if (!error) return;
    const isUnderWay = error.message === 'Query read timeout';
    broken.push({ from, to: isUnderWay ? Infinity : performance.now() });
  });
  return broken;
}
