import { expect } from 'vitest';
import type { Guard, Version } from '../../lib/storage/storage.ts';
import { drain } from '../support/drain.ts';
import { message, newDevice, terms, time } from '../support/storage.ts';
import type { Cases } from './case.ts';

const free: Guard = { kind: 'none' };
const absent: Guard = { kind: 'absent' };
const matching = (...versions: Version[]): Guard => ({ kind: 'present', versions });
const hold = (agent: string, ttlSeconds = 60) => ({ agent, ttlSeconds });

/** The active-agent lock, its guards and its end. */
export const lockCases = {
  'is absent for a device nobody has seen, and looking leaves nothing behind': async (h) => {
    const device = newDevice();
    expect((await h.storage.getLock(device)).lock).toBeNull();
    expect((await h.storage.clearLock(device, free)).written).toBe(true);
    expect(await h.storage.setLock(device, hold('billing'), matching('1' as Version))).toEqual({
      written: false,
    });
    expect((await h.storage.getState(device)).version).toBeNull();
    expect(await h.events(device)).toEqual([]);
  },

  'is held for its TTL from the clock the write returns': async (h) => {
    for (const ttl of [1, 90, 2_592_000]) {
      const device = newDevice();
      const set = await h.storage.setLock(device, hold('billing', ttl), free);
      if (!set.written) throw new Error('not written');
      expect(set.lock).toMatchObject({ agent: 'billing', sessionTtl: ttl, lockedAt: set.now });
      expect(set.lock.expiresAt.getTime() - set.now.getTime()).toBe(ttl * time.second);
      expect((await h.storage.getLock(device)).lock).toEqual(set.lock);
    }
  },

  // A row moved to either side of the clock: whatever the operation answers must agree with the clock it returns.
  'is held exactly when its end is after the returned clock': async (h) => {
    for (const offset of [-1_000, -2, -1, 0, 1, 2, 60_000]) {
      for (let i = 0; i < 20; i++) {
        const device = newDevice();
        await h.storage.setLock(device, hold('billing'), free);
        await h.shift(device, { lock: offset });
        const read = await h.storage.getLock(device);
        if (read.lock === null) expect(offset).toBeLessThan(60_000);
        else expect(read.lock.expiresAt.getTime()).toBeGreaterThan(read.now.getTime());
        if (offset <= 0) expect(read.lock).toBeNull();

        const [accepted] = await h.storage.accept([message(device)], terms());
        if (accepted === undefined) throw new Error('nothing accepted');
        if (accepted.lock !== null)
          expect(accepted.lock.expiresAt.getTime()).toBeGreaterThan(accepted.now.getTime());
        if (offset <= 0) expect(accepted.lock).toBeNull();
        expect(accepted.turn?.lock).toEqual(accepted.lock);
      }
    }
  },

  'that has lapsed does not exist for any guard, and one that is about to lapse does': async (
    h,
  ) => {
    for (const [left, lives] of [
      [0, false],
      [5_000, true],
    ] as const) {
      const guarded = async (guard: (version: Version) => Guard) => {
        const device = newDevice();
        const set = await h.storage.setLock(device, hold('billing'), free);
        if (!set.written) throw new Error('not written');
        await h.shift(device, { lock: left });
        return [
          (await h.storage.clearLock(device, guard(set.lock.version))).written,
          (await h.storage.setLock(device, hold('other'), guard(set.lock.version))).written,
        ];
      };
      expect(await guarded((version) => matching(version))).toEqual([lives, false]);
      expect(await guarded(() => matching())).toEqual([lives, false]);
      expect(await guarded(() => absent)).toEqual([!lives, !lives]);
    }
  },

  'keeps its version through renewal and gets a new, larger one with every new holding': async (
    h,
  ) => {
    const device = newDevice();
    const versions: bigint[] = [];
    for (const agent of ['billing', 'billing', 'scheduling', 'billing']) {
      const set = await h.storage.setLock(device, hold(agent), free);
      if (!set.written) throw new Error('not written');
      versions.push(BigInt(set.lock.version));
    }
    const [first, renewed, handedOver, back] = versions.map(Number);
    expect(renewed).toBe(first);
    expect(handedOver).toBeGreaterThan(Number(first));
    expect(back).toBeGreaterThan(Number(handedOver));
    await h.storage.clearLock(device, free);
    const again = await h.storage.setLock(device, hold('billing'), free);
    expect(again.written && Number(again.lock.version)).toBeGreaterThan(Number(back));
    expect((await h.events(device)).map(({ reason }) => reason)).toEqual([
      'cleared',
      'handed_over',
      'handed_over',
    ]);
  },

  'renewed keeps the time since which it is held, and takes the new TTL': async (h) => {
    const device = newDevice();
    const set = await h.storage.setLock(device, hold('billing', 60), free);
    await h.age(device, 10_000);
    const renewed = await h.storage.setLock(device, hold('billing', 600), free);
    if (!set.written || !renewed.written) throw new Error('not written');
    expect(renewed.lock.lockedAt.getTime()).toBe(set.lock.lockedAt.getTime() - 10_000);
    expect(renewed.lock.sessionTtl).toBe(600);
    expect(renewed.lock.expiresAt.getTime() - renewed.now.getTime()).toBe(600_000);
  },

  'taken again by the same agent after it lapsed is a new holding': async (h) => {
    const device = newDevice();
    const set = await h.storage.setLock(device, hold('billing'), free);
    await h.shift(device, { lock: 0 });
    const lapsed = await h.storage.readDevice(device, null, 10);
    expect(lapsed?.record).toMatchObject({ lock: null, holdings: [{ reason: 'expired' }] });
    const again = await h.storage.setLock(device, hold('billing'), free);
    if (!set.written || !again.written) throw new Error('not written');
    const { holdings } = (await h.storage.readDevice(device, null, 10))?.record ?? {};
    expect(holdings).toEqual(lapsed?.record.holdings);
    expect(again.lock.lockedAt).toEqual(again.now);
    expect(Number(again.lock.version)).toBeGreaterThan(Number(set.lock.version));
    expect(await h.events(device)).toMatchObject([{ agent: 'billing', reason: 'expired' }]);
  },

  'is replaced only by who has read it': async (h) => {
    const device = newDevice();
    const set = await h.storage.setLock(device, hold('billing'), absent);
    if (!set.written) throw new Error('not written');
    expect(await h.storage.setLock(device, hold('other'), absent)).toEqual({ written: false });
    expect(await h.storage.setLock(device, hold('other'), matching('1' as Version))).toEqual({
      written: false,
    });
    expect((await h.storage.getLock(device)).lock?.agent).toBe('billing');
    expect(
      (await h.storage.setLock(device, hold('other'), matching('1' as Version, set.lock.version)))
        .written,
    ).toBe(true);
    expect(await h.storage.clearLock(device, matching(set.lock.version))).toEqual({
      written: false,
    });
    expect(await h.storage.clearLock(device, absent)).toEqual({ written: false });
    expect((await h.storage.clearLock(device, matching())).written).toBe(true);
    expect((await h.storage.getLock(device)).lock).toBeNull();
    expect((await h.storage.clearLock(device, absent)).written).toBe(true);
  },

  'leaves a timeline: who held it from when to when, and why it ended': async (h) => {
    const device = newDevice();
    const first = await h.storage.setLock(device, hold('billing'), free);
    const second = await h.storage.setLock(device, hold('scheduling'), free);
    if (!first.written || !second.written) throw new Error('not written');
    const cleared = await h.storage.clearLock(device, free);
    expect(await h.storage.clearLock(device, free)).toMatchObject({ written: true });
    expect(await h.events(device)).toEqual([
      {
        agent: 'scheduling',
        reason: 'cleared',
        startedAt: second.now,
        endedAt: cleared.written && cleared.now,
      },
      {
        agent: 'billing',
        reason: 'handed_over',
        startedAt: first.now,
        endedAt: second.now,
      },
    ]);
  },

  'that lapsed has ended when it lapsed, whoever notices it and when': async (h) => {
    const notices = {
      'a new holding': (device: ReturnType<typeof newDevice>) =>
        h.storage.setLock(device, hold('other'), free),
      'the clean-up': () => drain(h),
    };
    for (const [name, notice] of Object.entries(notices)) {
      const device = newDevice();
      const set = await h.storage.setLock(device, hold('billing', 60), free);
      if (!set.written) throw new Error('not written');
      await h.age(device, 100_000);
      // nothing was held any more: there is nothing to clear
      await h.storage.clearLock(device, free);
      expect(await h.events(device), name).toEqual([]);
      await notice(device);
      expect(await h.events(device), name).toEqual([
        {
          agent: 'billing',
          reason: 'expired',
          startedAt: new Date(set.now.getTime() - 100_000),
          endedAt: new Date(set.now.getTime() - 40_000),
        },
      ]);
    }
  },

  'has one winner of fifty that take it at once': async (h) => {
    const device = newDevice();
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => h.storage.setLock(device, hold(`agent-${i}`), absent)),
    );
    const winners = all.filter((result) => result.written);
    expect(winners).toHaveLength(1);
    expect((await h.storage.getLock(device)).lock).toEqual(winners[0]?.lock);
  },

  'has one winner of fifty that replace the same holding at once': async (h) => {
    const device = newDevice();
    const set = await h.storage.setLock(device, hold('billing'), free);
    if (!set.written) throw new Error('not written');
    const guard = matching(set.lock.version);
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        i % 2 === 0
          ? h.storage.setLock(device, hold(`agent-${i}`), guard)
          : h.storage.clearLock(device, guard),
      ),
    );
    expect(all.filter((result) => result.written)).toHaveLength(1);
    expect(await h.events(device)).toHaveLength(1);
  },
} satisfies Cases;
