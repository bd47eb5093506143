import { expect } from 'vitest';
import { commit, commitOf, message, newDevice, take, terms, time } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { contentsOf, retake, toSend } from './ways.ts';

/** A turn's time, and how it ends without an answer. */
export const leaseCases = {
  'is free exactly at its end, not before': async (h) => {
    for (const [offset, taken] of [
      [1_000, false],
      [0, true],
      [-1, true],
    ] as const) {
      const device = newDevice();
      await take(h.storage, device);
      await h.shift(device, { turn: offset });
      expect((await retake(h, device)) !== undefined, `end ${offset} ms from now`).toBe(taken);
    }
  },

  'lasts as long as was asked for': async (h) => {
    for (const leaseMs of [1, 60_000, 800_000]) {
      const device = newDevice();
      const [accepted] = await h.storage.accept([message(device)], terms({ leaseMs }));
      expect(Number(accepted?.turn?.expiresAt) - Number(accepted?.now)).toBe(leaseMs);
    }
  },

  'is renewed by its holder, also after it ran out without a taker': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.shift(device, { turn: -5_000 });
    const extended = await h.storage.extend(device, turn.fence, 'builtin', 30_000);
    expect(Number(extended?.expiresAt) - Number(extended?.now)).toBe(30_000);
    expect(await retake(h, device)).toBeUndefined();
    expect(await h.storage.extend(device, turn.fence, 'external', 30_000)).toBeNull();
    expect(await h.storage.extend(newDevice(), turn.fence, 'builtin', 30_000)).toBeNull();
    expect((await commit(h.storage, turn, commitOf('x'))).outcome).toBe('committed');
  },

  'is not renewed once the turn is over': async (h) => {
    const device = newDevice();
    const committed = await take(h.storage, device);
    await commit(h.storage, committed, commitOf('x'));
    expect(await h.storage.extend(device, committed.fence, 'builtin', 60_000)).toBeNull();
    const given = await take(h.storage, device);
    await h.storage.giveBack(device, given.fence, 'builtin');
    expect(await h.storage.extend(device, given.fence, 'builtin', 60_000)).toBeNull();
    const failed = await retake(h, device);
    if (failed === undefined) throw new Error('not handed over again');
    await h.storage.fail(device, failed.fence, 'Error');
    expect(await h.storage.extend(device, failed.fence, 'builtin', 60_000)).toBeNull();
  },

  'given back leaves the messages waiting and counts as no attempt; twice is once': async (h) => {
    const device = newDevice();
    for (let i = 0; i < 5; i++) {
      const turn = i === 0 ? await take(h.storage, device) : await retake(h, device);
      if (turn === undefined) throw new Error('not handed over again');
      expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(true);
      expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(true);
      expect(
        (await h.storage.commit(device, turn.fence, 'builtin', commitOf('x'), 1)).outcome,
      ).toBe('lost');
    }
    expect(await h.messages(device)).toMatchObject([{ status: 'waiting', attempts: 0 }]);
  },

  'given back once it is committed, or while its replies go out, is not given back': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await commit(h.storage, turn, toSend('a'));
    expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(false);
    expect(await h.storage.fail(device, turn.fence, 'Error')).toBeNull();
    expect(
      (await h.storage.extend(device, turn.fence, 'builtin', 60_000))?.expiresAt,
    ).toBeDefined();
  },

  'that lapses too often sets the message aside, and the next one is answered': async (h) => {
    const device = newDevice();
    await take(h.storage, device, { content: 'poison' });
    for (let i = 0; i < 2; i++) {
      await h.shift(device, { turn: 0 });
      expect(contentsOf(await retake(h, device))).toEqual(['poison']);
    }
    await h.shift(device, { turn: 0 });
    expect(await retake(h, device)).toBeUndefined();
    expect(await h.messages(device)).toMatchObject([
      { status: 'failed', attempts: 3, seq: null, error: 'lease_expired' },
    ]);
    expect(contentsOf(await take(h.storage, device, { content: 'fine' }))).toEqual(['fine']);
  },

  'that fails waits longer each time, 1, 4, 16, then 64 seconds, and keeps everybody off meanwhile':
    (_, open) =>
      on(open({ maxAttempts: 6 }), async (h) => {
        const device = newDevice();
        let turn = await take(h.storage, device, { content: 'a' });
        for (const seconds of [1, 4, 16, 64, 64]) {
          const failed = await h.storage.fail(device, turn.fence, 'Error');
          expect(Number(failed?.retryAt) - Number(failed?.now)).toBe(seconds * time.second);
          expect(await h.storage.fail(device, turn.fence, 'Error')).toBeNull();
          expect(await retake(h, device)).toBeUndefined();
          const [queued] = await h.storage.accept(
            [message(device, { content: 'b', externalId: 'b' })],
            terms(),
          );
          expect(queued).toMatchObject({ turn: null, waiting: true });
          await h.shift(device, { turn: 0 });
          const again = await retake(h, device);
          if (again === undefined) throw new Error('not handed over again');
          turn = again;
        }
      }),

  'that fails too often sets its messages aside at once, and frees the turn': async (h) => {
    const device = newDevice();
    let turn = await take(h.storage, device, { content: 'a' });
    for (let tries = 1; tries < 3; tries++) {
      await h.storage.fail(device, turn.fence, 'Error');
      await h.shift(device, { turn: 0 });
      turn = (await retake(h, device)) ?? turn;
    }
    await h.storage.accept([message(device, { content: 'b' })], terms());
    expect(await h.storage.fail(device, turn.fence, 'Error')).toMatchObject({ retryAt: null });
    expect(await h.messages(device)).toMatchObject([
      { content: 'a', status: 'failed', attempts: 3, error: 'Error' },
      { content: 'b', status: 'waiting', attempts: 0, error: null },
    ]);
    expect(contentsOf(await retake(h, device))).toEqual(['b']);
  },

  'that fails over an old message and a new one sets aside the old one alone, and waits for the new':
    async (h) => {
      const device = newDevice();
      const first = await take(h.storage, device, { content: 'old' });
      await h.storage.fail(device, first.fence, 'Error');
      await h.shift(device, { turn: 0 });
      const second = await retake(h, device);
      await h.storage.fail(device, second?.fence ?? first.fence, 'Error');
      await h.storage.accept([message(device, { content: 'new' })], terms());
      await h.shift(device, { turn: 0 });
      const third = await retake(h, device);
      expect(contentsOf(third)).toEqual(['old', 'new']);
      const failed = await h.storage.fail(device, third?.fence ?? first.fence, 'Error');
      expect(Number(failed?.retryAt) - Number(failed?.now)).toBe(time.second);
      expect((await h.messages(device)).map(({ content, status }) => [content, status])).toEqual([
        ['old', 'failed'],
        ['new', 'waiting'],
      ]);
    },

  'answered in the end leaves no error behind': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.fail(device, turn.fence, 'Error');
    expect(await h.messages(device)).toMatchObject([{ error: 'Error', attempts: 1 }]);
    await h.shift(device, { turn: 0 });
    const again = await retake(h, device);
    if (again === undefined) throw new Error('not handed over again');
    await commit(h.storage, again, commitOf());
    expect(await h.messages(device)).toMatchObject([{ error: null, status: 'answered' }]);
  },

  'has a fence that only ever grows, also where the device’s row was deleted': async (h) => {
    const device = newDevice();
    const before = await take(h.storage, device);
    await h.storage.giveBack(device, before.fence, 'builtin');
    const between = await retake(h, device);
    expect(Number(between?.fence)).toBeGreaterThan(Number(before.fence));
    await h.deleteRow(device);
    const after = await take(h.storage, device);
    expect(Number(after.fence)).toBeGreaterThan(Number(between?.fence));
  },
} satisfies Cases;
