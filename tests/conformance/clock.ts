import { expect, vi } from 'vitest';
import { commit, commitOf, message, newDevice, take, terms, time } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { retake } from './ways.ts';

/** Runs with this instance's clock so many milliseconds off. */
async function skewed<T>(by: number, run: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ now: Date.now() + by, toFake: ['Date'] });
  try {
    return await run();
  } finally {
    vi.useRealTimers();
  }
}

const OFF = [-5 * time.minute, 5 * time.minute];

/** One clock decides, and it is the storage's: an instance’s own may be wrong. */
export const clockCases = {
  'is the same for every caller, whatever time each of them thinks it is': async (h) => {
    const { now } = await h.storage.ping();
    for (const off of OFF) {
      const told = await skewed(off, () => h.storage.ping());
      expect(Math.abs(told.now.getTime() - now.getTime())).toBeLessThan(time.minute);
    }
  },

  'counts in whole milliseconds and never goes back': async (h) => {
    let last = 0;
    for (let i = 0; i < 50; i++) {
      const { now } = await h.storage.ping();
      expect(now.getTime()).toBeGreaterThanOrEqual(last);
      last = now.getTime();
    }
  },

  'decides whether a lock lives: one set by a caller who is early or late ends with its time':
    async (h) => {
      for (const off of OFF) {
        const device = newDevice();
        const lock = { agent: 'billing', ttlSeconds: 60 };
        const set = await skewed(off, () => h.storage.setLock(device, lock, { kind: 'none' }));
        expect((await h.storage.getLock(device)).lock).toEqual(set.written && set.lock);
        expect((await skewed(-off, () => h.storage.getLock(device))).lock?.agent).toBe('billing');
        await h.shift(device, { lock: 0 });
        expect((await skewed(off, () => h.storage.getLock(device))).lock).toBeNull();
      }
    },

  'decides whether a turn is free': async (h) => {
    for (const off of OFF) {
      const device = newDevice();
      const turn = await skewed(off, () => take(h.storage, device));
      expect(await skewed(off, () => retake(h, device))).toBeUndefined();
      expect(await skewed(-off, () => retake(h, device))).toBeUndefined();
      await h.shift(device, { turn: 0 });
      const next = await skewed(off, () => retake(h, device));
      expect(Number(next?.fence)).toBeGreaterThan(Number(turn.fence));
    }
  },

  'decides whether a session goes on, and which sender’s clock makes sense': async (h) => {
    for (const off of OFF) {
      const device = newDevice();
      const first = await skewed(off, () => take(h.storage, device));
      await commit(h.storage, first, commitOf('a'));
      const { now } = await h.storage.ping();
      const sentAt = new Date(now.getTime() + 9 * time.minute);
      const [accepted] = await skewed(off, () =>
        h.storage.accept([message(device, { sentAt })], terms()),
      );
      expect(accepted?.turn?.sessionId).toBe(first.sessionId);
      expect(accepted?.turn?.messages[0]?.sentAt).toEqual(sentAt);
    }
  },

  'decides what the clean-up ends': async (h) => {
    for (const off of OFF) {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      await skewed(off, () => h.storage.cleanUp(100));
      expect((await h.storage.getLock(device)).lock?.agent).toBe('billing');
    }
  },
} satisfies Cases;
