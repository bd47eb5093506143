import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commit, commitOf, type Harness, newDevice, take, terms } from '../support/storage.ts';

export function leasePromises(open: () => Promise<Harness>): void {
  let h: Harness;
  beforeAll(async () => {
    h = await open();
  });
  afterAll(() => h.close());

  describe('the lease', () => {
    it('is free exactly at its end, not before', async () => {
      for (const [offset, taken] of [
        [1_000, false],
        [0, true],
        [-1, true],
      ] as const) {
        const device = newDevice();
        await take(h.storage, device);
        await h.shift(device, { turn: offset });
        expect(
          (await h.storage.next([device], terms())).turns.length === 1,
          `end ${offset} ms from now`,
        ).toBe(taken);
      }
    });

    it('is renewed by its holder, also after it ran out without a taker', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.shift(device, { turn: -5_000 });
      const extended = await h.storage.extend(device, turn.fence, 'builtin', 30_000);
      expect(Number(extended?.expiresAt) - Number(extended?.now)).toBe(30_000);
      expect((await h.storage.next([device], terms())).turns).toEqual([]);
      expect(await h.storage.extend(device, turn.fence, 'external', 30_000)).toBeNull();
    });

    it('given back leaves the messages waiting and counts as no attempt; twice is once', async () => {
      const device = newDevice();
      for (let i = 0; i < 5; i++) {
        const turn =
          i === 0
            ? await take(h.storage, device)
            : (await h.storage.next([device], terms())).turns[0];
        if (turn === undefined) throw new Error('not handed over again');
        expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(true);
        expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(true);
        expect(
          (await h.storage.commit(device, turn.fence, 'builtin', commitOf('x'), 1)).outcome,
        ).toBe('lost');
      }
      expect(await h.messages(device)).toMatchObject([{ status: 'waiting', attempts: 0 }]);
    });

    it('that lapses too often sets the message aside, and the next one is answered', async () => {
      const device = newDevice();
      await take(h.storage, device, { content: 'poison' });
      for (let i = 0; i < 2; i++) {
        await h.shift(device, { turn: 0 });
        expect((await h.storage.next([device], terms())).turns).toHaveLength(1);
      }
      await h.shift(device, { turn: 0 });
      expect((await h.storage.next([device], terms())).turns).toEqual([]);
      expect(await h.messages(device)).toMatchObject([
        { status: 'failed', attempts: 3, seq: null },
      ]);
      expect(
        (await take(h.storage, device, { content: 'fine' })).messages.map(({ content }) => content),
      ).toEqual(['fine']);
    });

    it('that fails waits longer each time, keeps everybody off meanwhile, and gives up in the end', async () => {
      const device = newDevice();
      let turn = await take(h.storage, device);
      for (const seconds of [1, 4]) {
        const failed = await h.storage.fail(device, turn.fence, 'Error');
        expect(Number(failed?.retryAt) - Number(failed?.now)).toBe(seconds * 1_000);
        expect((await h.storage.next([device], terms())).turns).toEqual([]);
        await h.shift(device, { turn: 0 });
        const [again] = (await h.storage.next([device], terms())).turns;
        if (again === undefined) throw new Error('not handed over again');
        turn = again;
      }
      const last = await h.storage.fail(device, turn.fence, 'Error');
      expect(last).toMatchObject({ retryAt: null });
      expect(await h.messages(device)).toMatchObject([{ status: 'failed', attempts: 3 }]);
    });
  });

  describe('recovery', () => {
    it('finds what a killed worker left, wherever it is, once its lease is over', async () => {
      const [dead, alive] = [newDevice(), newDevice()];
      await take(h.storage, dead);
      await take(h.storage, alive);
      await h.shift(dead, { turn: 0 });
      const recovered: string[] = [];
      for (let turns = 1; turns > 0;) {
        const found = (
          await h.storage.recover({
            requestId: String(Math.random()),
            leaseMs: 60_000,
            maxTurns: 50,
          })
        ).turns;
        turns = found.length;
        recovered.push(...found.map((turn) => turn.device));
      }
      expect(recovered).toContain(dead);
      expect(recovered).not.toContain(alive);
    });
  });

  describe('a fence', () => {
    it('of a device whose row was deleted is larger than any before', async () => {
      const device = newDevice();
      const before = await take(h.storage, device);
      await commit(h.storage, before, commitOf('x'));
      await h.deleteRow(device);
      const after = await take(h.storage, device);
      expect(Number(after.fence)).toBeGreaterThan(Number(before.fence));
    });
  });

  describe('the answer to a message', () => {
    it('is read by the message’s own id: nothing, waiting, then the replies and what they answer', async () => {
      const device = newDevice();
      expect(await h.storage.readAnswer(device, 'web', 'q')).toMatchObject({
        message: null,
        free: true,
      });
      const turn = await take(h.storage, device, { externalId: 'q' });
      expect(await h.storage.readAnswer(device, 'web', 'q')).toMatchObject({
        message: { status: 'waiting' },
        free: false,
        replies: [],
      });
      await commit(h.storage, turn, {
        ...commitOf('a', 'b'),
        lock: { do: 'set', agent: 'billing', ttl: 60 },
      });
      await commit(h.storage, await take(h.storage, device), commitOf('of another'));
      const answer = await h.storage.readAnswer(device, 'web', 'q');
      expect(answer).toMatchObject({
        message: { status: 'answered', sessionId: turn.sessionId, holder: 'billing' },
        free: true,
      });
      expect(answer.replies.map(({ content, answers }) => [content, answers])).toEqual([
        ['a', ['q']],
        ['b', ['q']],
      ]);
      expect((await h.storage.readAnswer(newDevice(), 'web', 'q')).message).toBeNull();
    });
  });
}
