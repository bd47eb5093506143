import type { Count, CounterName, FigureStorage } from './storage/storage.ts';

/** Milliseconds between two writes of one instance. */
const INTERVAL = 1_000;

/** By name and label, what has not been stored yet. */
const counted = new Map<string, Count>();

/**
 * Counts something. The labels of each name are few and known: outcomes of turns, codes of errors, kinds of what has
 * expired, results of the cache.
 */
export function count(name: CounterName, label: string, by = 1): void {
  if (by === 0) return;
  const key = `${name} ${label}`;
  const one = counted.get(key);
  if (one === undefined) counted.set(key, { name, label, by });
  else one.by += by;
}

/**
 * A write that any request may ask for: at most one a second, and the last one asked for always happens. Never
 * rejects: what the storage would not take goes with the next write, and what an instance had when it was killed is
 * lost.
 */
export function createCountWriter(storage: FigureStorage): () => Promise<void> {
  let last = -Infinity;
  let asked: Promise<void> | null = null;

  const isTime = async (): Promise<void> => {
    const early = last + INTERVAL - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
  };
  const write = async (): Promise<void> => {
    asked = null;
    last = performance.now();
    const counts = [...counted.values()];
    counted.clear();
    await storage.addCounts(counts).catch(() => {
      for (const { name, label, by } of counts) count(name, label, by);
    });
  };

  return async () => {
    if (counted.size > 0) await (asked ??= isTime().then(write));
  };
}
