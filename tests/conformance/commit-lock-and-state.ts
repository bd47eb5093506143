import { expect } from 'vitest';
import type { Commit } from '../../lib/storage/storage.ts';
import { commit, commitOf, newDevice, take } from '../support/storage.ts';
import type { Cases } from './case.ts';

/** What answering a turn does to the lock and the state. */
export const commitLockAndStateCases = {
  'leaves a lock alone that somebody else moved since the grant, even there and back': async (
    h,
  ) => {
    const device = newDevice();
    const set = (agent: string) =>
      h.storage.setLock(device, { agent, ttlSeconds: 60 }, { kind: 'none' });
    const to = (agent: string) => ({
      ...commitOf('x'),
      lock: { do: 'set' as const, agent, ttl: 60 },
    });
    const first = await take(h.storage, device);
    await set('billing');
    expect((await commit(h.storage, first, to('scheduling'))).lock?.agent).toBe('billing');
    const second = await take(h.storage, device);
    await set('other');
    await set('billing');
    expect((await commit(h.storage, second, to('scheduling'))).lock?.agent).toBe('billing');
    const third = await take(h.storage, device);
    await h.storage.clearLock(device, { kind: 'none' });
    expect((await commit(h.storage, third, to('scheduling'))).lock).toBeNull();
    const fourth = await take(h.storage, device);
    expect((await commit(h.storage, fourth, to('scheduling'))).lock?.agent).toBe('scheduling');
    const fifth = await take(h.storage, device);
    await set('scheduling');
    expect((await commit(h.storage, fifth, to('billing'))).lock?.agent).toBe('billing');
  },

  'moves a lock that has merely lapsed since the grant, noticed or not': async (h) => {
    for (const notice of [
      () => Promise.resolve(),
      (device: ReturnType<typeof newDevice>) => h.storage.clearLock(device, { kind: 'none' }),
      () => h.storage.cleanUp(1_000),
    ]) {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      const turn = await take(h.storage, device);
      await h.shift(device, { lock: 0 });
      await notice(device);
      const result = await commit(h.storage, turn, {
        ...commitOf('x'),
        lock: { do: 'set', agent: 'scheduling', ttl: 60 },
      });
      expect(result.lock?.agent).toBe('scheduling');
    }
  },

  'renews, keeps, sets and clears the lock as told': async (h) => {
    const device = newDevice();
    const withLock = async (lock: Commit['lock']) =>
      commit(h.storage, await take(h.storage, device), { ...commitOf('x'), lock });
    await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
    await h.shift(device, { lock: 10_000 });
    const kept = await withLock({ do: 'keep' });
    expect(Number(kept.lock?.expiresAt) - Number(kept.now)).toBeLessThan(10_001);
    const renewed = await withLock({ do: 'renew' });
    expect(Number(renewed.lock?.expiresAt) - Number(renewed.now)).toBe(60_000);
    expect(renewed.lock?.version).toBe(kept.lock?.version);
    const longer = await withLock({ do: 'renew', ttl: 600 });
    expect(Number(longer.lock?.expiresAt) - Number(longer.now)).toBe(600_000);
    const set = await withLock({ do: 'set', agent: 'billing', ttl: 60 });
    expect(set.lock?.version).toBe(kept.lock?.version);
    const cleared = await withLock({ do: 'clear' });
    expect(cleared.lock).toBeNull();
    expect((await withLock({ do: 'renew' })).lock).toBeNull();
    expect((await withLock({ do: 'clear' })).lock).toBeNull();
    expect(await h.events(device)).toMatchObject([{ agent: 'billing', reason: 'cleared' }]);
  },

  'merges a patch into what stands there, and replaces only what nobody has changed since the grant':
    async (h) => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.patchState(device, { theirs: 1 }, { kind: 'none' });
      expect(
        (
          await h.storage.commit(
            device,
            turn.fence,
            'builtin',
            { ...commitOf('x'), state: { mine: 1 } },
            60_000,
          )
        ).outcome,
      ).toBe('state_conflict');
      expect((await h.messages(device)).map(({ status }) => status)).toEqual(['waiting']);
      await commit(h.storage, turn, { ...commitOf('x'), statePatch: { mine: 1 } });
      expect((await h.storage.getState(device)).state).toEqual({ theirs: 1, mine: 1 });
      await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        state: { only: 1 },
      });
      expect((await h.storage.getState(device)).state).toEqual({ only: 1 });
      const last = await take(h.storage, device);
      await h.storage.clearState(device, { kind: 'none' });
      const replacing = { ...commitOf('x'), state: { mine: 1 } };
      expect(
        (await h.storage.commit(device, last.fence, 'builtin', replacing, 60_000)).outcome,
      ).toBe('state_conflict');
    },

  'without a word on the state leaves it and its version': async (h) => {
    const device = newDevice();
    await h.storage.putState(device, { a: 1 }, { kind: 'none' });
    const { now: _, ...before } = await h.storage.getState(device);
    await commit(h.storage, await take(h.storage, device), commitOf('x'));
    expect(await h.storage.getState(device)).toMatchObject(before);
  },

  'with a state that is too large writes nothing at all, and leaves the turn as it was': async (
    h,
  ) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    for (const state of ['state', 'statePatch'] as const) {
      const content = {
        ...commitOf('x'),
        [state]: { large: 'x'.repeat(1_100_000) },
        lock: { do: 'set' as const, agent: 'a', ttl: 1 },
      };
      await expect(
        h.storage.commit(device, turn.fence, 'builtin', content, 60_000),
      ).rejects.toMatchObject({ code: 'state_too_large' });
    }
    expect(await h.messages(device)).toMatchObject([{ status: 'waiting', seq: null }]);
    expect((await h.storage.getLock(device)).lock).toBeNull();
    expect((await commit(h.storage, turn, commitOf('x'))).outcome).toBe('committed');
  },
} satisfies Cases;
