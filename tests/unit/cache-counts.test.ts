import { beforeEach, expect, it, vi } from 'vitest';
import { watchCache } from '../../lib/app.ts';
import { createCountWriter } from '../../lib/counters.ts';
import { setSink } from '../../lib/log.ts';
import type { CacheEvent } from '../../lib/storage/cache/cache.ts';
import type { Count } from '../../lib/storage/storage.ts';

let logged: string[];
beforeEach(() => {
  logged = [];
  setSink(({ event }) => logged.push(event));
});

/** What a watcher counts of these events. */
async function countsOf(...events: CacheEvent[]): Promise<Record<string, number>> {
  const addCounts = vi.fn<(counts: Count[]) => Promise<void>>().mockResolvedValue();
  const [readMetrics, readStats] = [vi.fn(), vi.fn()];
  const watch = watchCache();
  for (const event of events) watch(event, new Error('away'));
  await createCountWriter({ addCounts, readMetrics, readStats })();
  const [counts] = addCounts.mock.calls[0] ?? [];
  return Object.fromEntries((counts ?? []).map(({ label, by }) => [label, by]));
}

it('a read that meets a write under way passes a cache that works: it is busy', async () => {
  expect(await countsOf('hit', 'passed', 'miss', 'hit')).toEqual({ hit: 2, busy: 1, miss: 1 });
});

it('a read passes a cache that is away, until it is back', async () => {
  const counts = await countsOf('unreachable', 'passed', 'passed', 'back', 'passed', 'hit');
  expect(counts).toEqual({ unreachable: 1, passed: 2, busy: 1, hit: 1 });
  expect(logged).toEqual(['cache_unreachable', 'cache_back']);
});
