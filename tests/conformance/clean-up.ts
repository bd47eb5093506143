import { expect } from 'vitest';
import type { Version } from '../../lib/storage/storage.ts';
import { drain } from '../support/drain.ts';
import { commit, commitOf, newDevice, take } from '../support/storage.ts';
import { type Cases, on } from './case.ts';

/** What has ended is cleared away, and nothing that lives. */
export const cleanUpCases = {
  'ends lapsed locks and nothing that lives, also when two run at once': async (h) => {
    const devices = Array.from({ length: 40 }, newDevice);
    const versions = new Map<string, Version | undefined>();
    for (const [i, device] of devices.entries()) {
      const set = await h.storage.setLock(
        device,
        { agent: 'billing', ttlSeconds: 600 },
        { kind: 'none' },
      );
      versions.set(device, set.written ? set.lock.version : undefined);
      if (i % 2 === 0) await h.shift(device, { lock: 0 });
    }
    const runs = await Promise.all([h.storage.cleanUp(7), h.storage.cleanUp(7)]);
    expect(runs.every((run) => run.more)).toBe(true);
    const rest = await drain(h);
    const cleaned = runs.reduce((sum, run) => sum + run.expiredLocks, rest.expiredLocks);
    expect(cleaned).toBe(20);
    for (const [i, device] of devices.entries()) {
      const { lock } = await h.storage.getLock(device);
      expect(lock?.version).toBe(i % 2 === 0 ? undefined : versions.get(device));
      expect(await h.events(device)).toMatchObject(
        i % 2 === 0 ? [{ agent: 'billing', reason: 'expired' }] : [],
      );
    }
  },

  'of a lock that had ended before a turn was given is no move: the turn may set it': async (h) => {
    const device = newDevice();
    await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
    await h.shift(device, { lock: 0 });
    const turn = await take(h.storage, device);
    await drain(h);
    const content = {
      ...commitOf('x'),
      lock: { do: 'set' as const, agent: 'scheduling', ttl: 60 },
    };
    expect((await commit(h.storage, turn, content)).lock?.agent).toBe('scheduling');
  },

  'takes at most a batch of each kind, says whether there is more, and finds nothing the next time':
    (_, open) =>
      on(open(), async (h) => {
        for (let i = 0; i < 5; i++) {
          const device = newDevice();
          await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
          await take(h.storage, device);
          await h.shift(device, { lock: 0, session: 0 });
        }
        const seen = [];
        for (let i = 0; i < 4; i++) {
          const { expiredLocks, expiredSessions, more } = await h.storage.cleanUp(2);
          seen.push([expiredLocks, expiredSessions, more]);
        }
        expect(seen).toEqual([
          [2, 2, true],
          [2, 2, true],
          [1, 1, false],
          [0, 0, false],
        ]);
      }),

  'ends sessions that are over, and leaves their messages': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await commit(h.storage, turn, commitOf('a'));
    await h.shift(device, { session: 0 });
    await drain(h);
    expect(await h.messages(device)).toHaveLength(2);
    expect(await h.sessions(device)).toHaveLength(1);
    expect((await take(h.storage, device)).sessionId).not.toBe(turn.sessionId);
  },

  'leaves a turn to its holder': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.shift(device, { session: 0, turn: 0 });
    await drain(h);
    expect((await commit(h.storage, turn, commitOf('a'))).outcome).toBe('committed');
  },
} satisfies Cases;
