import { expect } from 'vitest';
import { drain } from '../support/drain.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { contentsOf } from './ways.ts';

/** Chat sessions: one device may have many, one after the other. */
export const sessionCases = {
  'goes on while it lives, ends with its time or when completed, and takes its history along':
    async (h) => {
      const device = newDevice();
      const first = await take(h.storage, device);
      await commit(h.storage, first, commitOf('a'));
      const second = await take(h.storage, device);
      expect(second.sessionId).toBe(first.sessionId);
      expect(second.history).toHaveLength(2);
      await commit(h.storage, second, commitOf('b'));
      await h.shift(device, { session: 0 });
      const third = await take(h.storage, device);
      expect(third.sessionId).not.toBe(first.sessionId);
      expect(third.history).toEqual([]);
      await commit(h.storage, third, { ...commitOf('c'), complete: true });
      expect((await take(h.storage, device)).sessionId).not.toBe(third.sessionId);
    },

  'ends with its time, not before': async (h) => {
    for (const [left, goesOn] of [
      [5_000, true],
      [0, false],
    ] as const) {
      const device = newDevice();
      const first = await take(h.storage, device);
      await commit(h.storage, first, commitOf('a'));
      await h.shift(device, { session: left });
      expect((await take(h.storage, device)).sessionId === first.sessionId).toBe(goesOn);
    }
  },

  'lives its time after every message and every answer, and longer once completed': (_, open) =>
    on(open({ sessionTtl: 100, completedTtl: 200 }), async (h) => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      expect(await h.sessions(device)).toEqual([
        { id: turn.sessionId, complete: false, messageCount: 0, life: 100_000 },
      ]);
      await h.shift(device, { session: 5_000 });
      await h.storage.accept([message(device)], terms());
      await h.age(device, 50_000);
      const { turn: kept } = await commit(h.storage, turn, commitOf('a'));
      expect(kept?.sessionId).toBe(turn.sessionId);
      expect(await h.sessions(device)).toMatchObject([{ messageCount: 2, life: 100_000 }]);
      if (kept === null) throw new Error('the turn was not kept');
      await commit(h.storage, kept, { ...commitOf(), complete: true });
      expect(await h.sessions(device)).toEqual([
        { id: turn.sessionId, complete: true, messageCount: 3, life: 200_000 },
      ]);
    }),

  'stays complete, and is left by whoever writes next': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.accept([message(device, { content: 'meanwhile' })], terms());
    const { turn: kept } = await commit(h.storage, turn, { ...commitOf(), complete: true });
    expect(contentsOf(kept)).toEqual(['meanwhile']);
    expect(kept?.sessionId).toBe(turn.sessionId);
    if (kept !== null) await commit(h.storage, kept, commitOf());
    const next = await take(h.storage, device);
    expect(next.sessionId).not.toBe(turn.sessionId);
    expect((await h.sessions(device)).map(({ complete }) => complete)).toEqual([true, false]);
  },

  'is neither opened nor prolonged by a redelivery': async (h) => {
    const device = newDevice();
    const once = message(device);
    const turn = await take(h.storage, device, once);
    await commit(h.storage, turn, { ...commitOf('a'), complete: true });
    const [again] = await h.storage.accept([once], terms());
    expect(again).toMatchObject({ messages: [{ duplicate: true, sessionId: turn.sessionId }] });
    expect(await h.sessions(device)).toHaveLength(1);
    const alive = newDevice();
    await take(h.storage, alive, { ...once, account: alive, sender: { device: alive } });
    await h.shift(alive, { session: 5_000 });
    await h.storage.accept([{ ...once, account: alive, sender: { device: alive } }], terms());
    await h.shift(alive, { turn: 0 });
    await h.shift(alive, { session: 0 });
    expect((await take(h.storage, alive)).messages).toHaveLength(1);
    expect(await h.sessions(alive)).toHaveLength(2);
  },

  'is not ended by the clean-up before its time': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await commit(h.storage, turn, commitOf('a'));
    await drain(h);
    expect((await take(h.storage, device)).sessionId).toBe(turn.sessionId);
  },

  'has a turn of its own: messages of an older one are answered first, and apart': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.accept([message(device, { content: 'old' })], terms());
    await h.shift(device, { session: 0 });
    await h.storage.accept([message(device, { content: 'new' })], terms());
    const old = (await commit(h.storage, turn, commitOf('x'))).turn;
    expect(contentsOf(old)).toEqual(['old']);
    const next = old && (await commit(h.storage, old, commitOf('y'))).turn;
    expect(contentsOf(next)).toEqual(['new']);
    expect(next?.sessionId).not.toBe(turn.sessionId);
    expect(next?.history).toEqual([]);
  },

  'completed by the turn of an older one stays the running one': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.shift(device, { session: 0 });
    await h.storage.accept([message(device, { content: 'new' })], terms());
    const { turn: kept } = await commit(h.storage, turn, { ...commitOf(), complete: true });
    if (kept === null) throw new Error('the turn was not kept');
    await commit(h.storage, kept, commitOf());
    expect((await take(h.storage, device)).sessionId).toBe(kept.sessionId);
  },

  'brings along at most so many of its last messages, oldest first': (_, open) =>
    on(open({ history: 5 }), async (h) => {
      const device = newDevice();
      for (let i = 0; i < 4; i++) {
        const turn = await take(h.storage, device, { content: `q${i}` });
        await commit(h.storage, turn, commitOf(`a${i}`));
      }
      const { history } = await take(h.storage, device);
      expect(history.map(({ role, content }) => [role, content])).toEqual([
        ['assistant', 'a1'],
        ['user', 'q2'],
        ['assistant', 'a2'],
        ['user', 'q3'],
        ['assistant', 'a3'],
      ]);
    }),
} satisfies Cases;
