import { BatonError } from '../../errors.ts';
import type { Shareable, Timed } from '../storage.ts';
import type { Cache } from './cache.ts';
import type { Entry } from './entries.ts';

/** Reads from the cache, else from the storage; then the cache is filled, and nobody waits for it. */
export async function readThrough<T extends Timed & Shareable>(
  cache: Cache,
  key: string,
  entry: Entry<T>,
  load: () => Promise<T>,
): Promise<T> {
  const found = await cache.find(key);
  if (found !== null && 'value' in found) {
    const revived = entry.revive(found.value, found.at);
    if (revived !== null) return revived;
  }
  const loaded = await load();
  // a conversation that several devices share is written under the names of all of them
  if (found !== null && 'claim' in found && loaded.shared !== true) {
    const kept = entry.keep(loaded, found.at);
    if (kept !== null) cache.fill(key, found.claim, kept);
  }
  return loaded;
}

/**
 * Marks the intent, writes, and settles. Where nobody knows whether it was written the mark is left to lapse: until
 * then everybody asks the database.
 *
 * @param keys what may change; null: the write itself will tell
 * @param changed what may have, by what it gave; null: nobody can tell
 */
export async function writeThrough<T>(
  cache: Cache,
  keys: readonly string[] | null,
  run: () => Promise<T>,
  changed: (result: T) => readonly string[] | null = () => keys,
): Promise<T> {
  const mark = await cache.mark(keys);
  let result: T;
  try {
    result = await run();
  } catch (error) {
    const isRefused = error instanceof BatonError && error.code !== 'storage_unavailable';
    if (isRefused || !mark.stands) await cache.settle(mark, keys);
    throw error;
  }
  await cache.settle(mark, changed(result));
  return result;
}
