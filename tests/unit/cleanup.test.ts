import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRegistry } from '../../lib/agents/registry.ts';
import { cleanUp } from '../../lib/cleanup.ts';
import { readConfig } from '../../lib/config.ts';
import { FUNCTION_SECONDS } from '../../lib/http/route.ts';
import type { CleanUp, Storage } from '../../lib/storage/storage.ts';
import type { TurnServices } from '../../lib/turn.ts';
import { noon, plainManager } from '../support/turns.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Milliseconds that a batch takes. */
const BATCH_MS = 1_000;

/** A storage with so many batches to clean away. */
function servicesWith(batches: number): { services: TurnServices; calls: () => number } {
  const settings = readConfig({});
  if (!settings.ok) throw new Error(settings.mistakes.join('\n'));
  let calls = 0;
  const storage: Partial<Storage> = {
    cleanUp(batch): Promise<CleanUp> {
      calls++;
      vi.advanceTimersByTime(BATCH_MS);
      const counts = { expiredLocks: batch, expiredSessions: 1, purgedMessages: 2 };
      return Promise.resolve({ now: noon, ...counts, more: calls < batches });
    },
    recover: () => Promise.resolve({ now: noon, turns: [] }),
  };
  const registry = createRegistry([], plainManager);
  const { config } = settings;
  const services = { storage: storage as Storage, config, registry, channelOf: () => null };
  return { services, calls: () => calls };
}

const frameOf = (seconds: number) => ({
  requestId: 'cron',
  endsAt: performance.now() + seconds * 1_000,
});

describe('the clean-up', () => {
  it('goes on until nothing is left, and adds up', async () => {
    const { services } = servicesWith(3);
    expect(await cleanUp(services, frameOf(285))).toEqual({
      expiredLocks: 1_500,
      expiredSessions: 3,
      purgedMessages: 6,
      recoveredTurns: 0,
      resentReplies: 0,
      durationMs: 3 * BATCH_MS,
      more: false,
    });
  });

  it('takes half of its time, leaves the rest to turns that were let fall, and says that there is more', async () => {
    const { services, calls } = servicesWith(1_000);
    const report = await cleanUp(services, frameOf(60));
    expect(report).toMatchObject({ more: true, durationMs: 30 * BATCH_MS });
    expect(calls()).toBe(30);
  });

  it('has as much time as vercel.json gives a function', async () => {
    const file = join(resolve(import.meta.dirname, '../..'), 'vercel.json');
    const { functions } = JSON.parse(await readFile(file, 'utf8')) as {
      functions: Record<string, { maxDuration: number }>;
    };
    const seconds = Object.values(functions).map(({ maxDuration }) => maxDuration);
    expect(seconds).toEqual([FUNCTION_SECONDS]);
  });
});
