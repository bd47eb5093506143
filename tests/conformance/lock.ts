import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Guard, Version } from '../../lib/storage/storage.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';

const free: Guard = { kind: 'none' };
const absent: Guard = { kind: 'absent' };
const matching = (...versions: Version[]): Guard => ({ kind: 'present', versions });
const hold = (agent: string, ttlSeconds = 60) => ({ agent, ttlSeconds });

export function lockPromises(open: () => Promise<Harness>): void {
  describe('lock', () => {
    let h: Harness;
    beforeAll(async () => {
      h = await open();
    });
    afterAll(() => h.close());

    it('is absent for a device nobody has seen, and looking leaves nothing behind', async () => {
      const device = newDevice();
      expect((await h.storage.getLock(device)).lock).toBeNull();
      expect((await h.storage.clearLock(device, free)).written).toBe(true);
      expect(await h.storage.setLock(device, hold('billing'), matching('1' as Version))).toEqual({
        written: false,
      });
      expect((await h.storage.getState(device)).version).toBeNull();
    });

    it('is held for its TTL from the clock the write returns', async () => {
      const device = newDevice();
      const set = await h.storage.setLock(device, hold('billing', 90), free);
      if (!set.written) throw new Error('not written');
      expect(set.lock).toMatchObject({ agent: 'billing', sessionTtl: 90, lockedAt: set.now });
      expect(set.lock.expiresAt.getTime() - set.now.getTime()).toBe(90_000);
      expect((await h.storage.getLock(device)).lock).toEqual(set.lock);
    });

    // A row moved to either side of the clock: whatever the operation answers must agree with the clock it returns.
    it.each([-1_000, -2, -1, 0, 1, 2, 1_000])(
      'is held exactly when its end is after the returned clock: end %i ms from now',
      async (offset) => {
        for (let i = 0; i < 20; i++) {
          const device = newDevice();
          await h.storage.setLock(device, hold('billing'), free);
          await h.shift(device, { lock: offset });
          const read = await h.storage.getLock(device);
          if (read.lock === null) expect(offset).toBeLessThan(1_000);
          else expect(read.lock.expiresAt.getTime()).toBeGreaterThan(read.now.getTime());
          if (offset <= 0) expect(read.lock).toBeNull();

          const [accepted] = await h.storage.accept([message(device)], terms());
          if (accepted === undefined) throw new Error('nothing accepted');
          if (accepted.lock !== null)
            expect(accepted.lock.expiresAt.getTime()).toBeGreaterThan(accepted.now.getTime());
          if (offset <= 0) expect(accepted.lock).toBeNull();
          expect(accepted.turn?.lock).toEqual(accepted.lock);
        }
      },
    );

    it('that has lapsed does not exist for any guard', async () => {
      const device = newDevice();
      const set = await h.storage.setLock(device, hold('billing'), free);
      if (!set.written) throw new Error('not written');
      await h.shift(device, { lock: 0 });
      expect(
        await h.storage.setLock(device, hold('scheduling'), matching(set.lock.version)),
      ).toEqual({ written: false });
      expect(await h.storage.setLock(device, hold('scheduling'), matching())).toEqual({
        written: false,
      });
      expect(await h.storage.clearLock(device, matching(set.lock.version))).toEqual({
        written: false,
      });
      expect((await h.storage.setLock(device, hold('scheduling'), absent)).written).toBe(true);
      expect(await h.events(device)).toEqual([{ agent: 'billing', reason: 'expired' }]);
    });

    it('keeps its version through renewal and gets a new, larger one with every new holding', async () => {
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
    });

    it('is replaced only by who has read it', async () => {
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
    });

    it('has one winner of fifty that take it at once', async () => {
      const device = newDevice();
      const all = await Promise.all(
        Array.from({ length: 50 }, (_, i) => h.storage.setLock(device, hold(`agent-${i}`), absent)),
      );
      const winners = all.filter((result) => result.written);
      expect(winners).toHaveLength(1);
      expect((await h.storage.getLock(device)).lock).toEqual(winners[0]?.lock);
    });

    it('has one winner of fifty that replace the same holding at once', async () => {
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
    });

    describe('human', () => {
      it('takes the turn from a worker that has not committed, and its reply is never written', async () => {
        const device = newDevice();
        const turn = await take(h.storage, device, { content: 'help' });
        await h.storage.setLock(device, hold('human'), free);
        expect(
          (await h.storage.commit(device, turn.fence, 'builtin', commitOf('late'), 60_000)).outcome,
        ).toBe('lost');
        expect(await h.storage.extend(device, turn.fence, 'builtin', 60_000)).toBeNull();
        expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(false);
        expect(
          (await h.messages(device)).map(({ content, status, seq }) => [content, status, seq]),
        ).toEqual([['help', 'recorded', 1]]);
      });

      it('puts what comes in, on either lane, into the history at once, and code never answers it, not later either', async () => {
        const device = newDevice();
        await h.storage.setLock(device, hold('human'), free);
        for (const lane of ['builtin', 'external'] as const) {
          const [accepted] = await h.storage.accept(
            [message(device, { channel: lane })],
            terms({ lane }),
          );
          expect(accepted).toMatchObject({
            turn: null,
            waiting: false,
            messages: [{ status: 'recorded' }],
          });
        }
        await h.storage.clearLock(device, free);
        expect((await h.storage.next([device], terms())).turns).toEqual([]);
        expect((await h.storage.next([device], terms({ lane: 'external' }))).turns).toEqual([]);
        const turn = await take(h.storage, device, { content: 'after' });
        expect(turn.messages.map(({ content }) => content)).toEqual(['after']);
        expect((await h.messages(device)).map(({ status, seq }) => [status, seq])).toEqual([
          ['recorded', 1],
          ['recorded', 2],
          ['waiting', null],
        ]);
      });

      it('lets a worker that has committed settle what it is sending', async () => {
        const device = newDevice();
        const turn = await take(h.storage, device);
        const committed = await commit(h.storage, turn, { ...commitOf('one'), deliver: true });
        await h.storage.setLock(device, hold('human'), free);
        const deliveries = committed.replies.map(({ id }) => ({
          id,
          status: 'sent' as const,
          externalId: 'wamid.1',
        }));
        expect(await h.storage.settle(device, turn.fence, deliveries, 60_000)).toMatchObject({
          turn: null,
        });
        expect((await h.messages(device)).map(({ status }) => status)).toEqual([
          'answered',
          'sent',
        ]);
      });

      it('set by a commit sends what waits into the history', async () => {
        const device = newDevice();
        const turn = await take(h.storage, device);
        await h.storage.accept([message(device, { content: 'second' })], terms());
        const result = await commit(h.storage, turn, {
          ...commitOf('bye'),
          lock: { do: 'set', agent: 'human', ttl: 60 },
        });
        expect(result.turn).toBeNull();
        expect((await h.messages(device)).map(({ status, seq }) => [status, seq])).toEqual([
          ['answered', 1],
          ['sent', 2],
          ['recorded', 3],
        ]);
      });
    });
  });
}
