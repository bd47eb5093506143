import { ERROR_CODES } from './errors.ts';
import type { Count, CounterName, FigureStorage } from './storage/storage.ts';

/**
 * What is counted under each name, and nothing else: every one is shown from the start, at 0, because what first
 * appears as 1 has not grown, and an alert that asks for growth would miss it.
 */
export const LABELS = {
  /**
   * Reads that found an entry, that found none, that went past because a write was under way, and that went past
   * because the cache is away; and how often an instance found it away.
   */
  cache: ['hit', 'miss', 'busy', 'passed', 'unreachable'],
  cleanups: ['complete', 'partial'],
  errors: ERROR_CODES,
  expired: ['lock', 'session', 'message'],
  turns: ['answered', 'agent_failed', 'turn_lost', 'state_conflict', 'state_too_large'],
} as const satisfies Readonly<Record<CounterName, readonly string[]>>;

export type Label<Name extends CounterName> = (typeof LABELS)[Name][number];

/** Milliseconds between two writes of one instance. */
const INTERVAL = 1_000;

/** By name and label, what has not been stored yet. */
const counted = new Map<string, Count>();

/** Counts something. */
export function count<Name extends CounterName>(name: Name, label: Label<Name>, by = 1): void {
  if (by > 0) add({ name, label, by });
}

function add({ name, label, by }: Count): void {
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
      for (const one of counts) add(one);
    });
  };

  return async () => {
    if (counted.size > 0) await (asked ??= isTime().then(write));
  };
}
