import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { count, createCountWriter } from '../../lib/counters.ts';
import type { Count } from '../../lib/storage/storage.ts';

let stored: Count[][];
let fails: boolean;
const storage = {
  addCounts(counts: Count[]) {
    if (fails) return Promise.reject(new Error('away'));
    stored.push(counts);
    return Promise.resolve();
  },
  readMetrics: () => Promise.reject(new Error('not asked for here')),
  readStats: () => Promise.reject(new Error('not asked for here')),
};

beforeEach(() => {
  vi.useFakeTimers();
  stored = [];
  fails = false;
});
afterEach(() => {
  vi.useRealTimers();
});

it('adds up by name and label, and stores each count once', async () => {
  const write = createCountWriter(storage);
  count('turns', 'answered');
  count('turns', 'answered', 2);
  count('errors', 'not_found');
  count('expired', 'lock', 0);
  await write();
  await write();
  expect(stored).toEqual([
    [
      { name: 'turns', label: 'answered', by: 3 },
      { name: 'errors', label: 'not_found', by: 1 },
    ],
  ]);
});

it('writes at most once a second, and the last one asked for always', async () => {
  const write = createCountWriter(storage);
  const asked = [];
  for (let i = 0; i < 10; i++) {
    count('turns', 'answered');
    asked.push(write());
    await vi.advanceTimersByTimeAsync(100);
  }
  await vi.advanceTimersByTimeAsync(1_000);
  await Promise.all(asked);
  expect(stored.map(([one]) => one?.by)).toEqual([1, 9]);
});

it('keeps what the storage would not take, and rejects nothing', async () => {
  const write = createCountWriter(storage);
  count('turns', 'answered');
  fails = true;
  await write();
  fails = false;
  count('turns', 'answered');
  const second = write();
  await vi.advanceTimersByTimeAsync(1_000);
  await second;
  expect(stored).toEqual([[{ name: 'turns', label: 'answered', by: 2 }]]);
});
