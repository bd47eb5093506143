import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Version } from '../../lib/storage/storage.ts';
import { commit, commitOf, type Harness, newDevice, take } from '../support/storage.ts';

export function cleanUpPromises(open: () => Promise<Harness>): void {
  let h: Harness;
  beforeAll(async () => {
    h = await open();
  });
  afterAll(() => h.close());

  describe('clean-up', () => {
    it('ends lapsed locks and nothing that lives, also when two run at once', async () => {
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
      let cleaned = runs.reduce((sum, run) => sum + run.expiredLocks, 0);
      for (let more = true; more;) {
        const run = await h.storage.cleanUp(100);
        cleaned += run.expiredLocks;
        more = run.more;
      }
      expect(cleaned).toBeGreaterThanOrEqual(20);
      for (const [i, device] of devices.entries()) {
        const { lock } = await h.storage.getLock(device);
        expect(lock?.version).toBe(i % 2 === 0 ? undefined : versions.get(device));
        expect(await h.events(device)).toEqual(
          i % 2 === 0 ? [{ agent: 'billing', reason: 'expired' }] : [],
        );
      }
    });

    it('of a lock that had ended before a turn was given is no move: the turn may set it', async () => {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      await h.shift(device, { lock: 0 });
      const turn = await take(h.storage, device);
      for (let more = true; more;) more = (await h.storage.cleanUp(100)).more;
      const content = {
        ...commitOf('x'),
        lock: { do: 'set' as const, agent: 'scheduling', ttl: 60 },
      };
      expect((await commit(h.storage, turn, content)).lock?.agent).toBe('scheduling');
    });
  });
}
