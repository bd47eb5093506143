import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { contentsOf, recoverFor, toSend } from './ways.ts';

const recover = (h: Harness, some: { requestId?: string; maxTurns?: number } = {}) =>
  h.storage.recover({ requestId: randomUUID(), leaseMs: 60_000, maxTurns: 100, ...some });

/** So many devices where something waits and nobody is at work. */
async function fallen(h: Harness, count: number) {
  const devices = Array.from({ length: count }, newDevice);
  await h.storage.accept(
    devices.map((device) => message(device)),
    terms({ maxTurns: 0 }),
  );
  return devices;
}

/** Picking up what somebody let fall, on whatever device. */
export const recoveryCases = {
  'finds what a killed worker left, wherever it is, once its lease is over': async (h) => {
    const [dead, alive] = [newDevice(), newDevice()];
    await take(h.storage, dead, { content: 'left' });
    await take(h.storage, alive);
    await h.shift(dead, { turn: 0 });
    expect(contentsOf(await recoverFor(h, dead))).toEqual(['left']);
    expect(await recoverFor(h, alive)).toBeUndefined();
  },

  'finds nothing where nothing is left, and tells the time': (_, open) =>
    on(open(), async (h) => {
      const done = newDevice();
      await commit(h.storage, await take(h.storage, done), commitOf('a'));
      const [before, found] = [await h.storage.ping(), await recover(h)];
      expect(found.turns).toEqual([]);
      expect(found.now.getTime()).toBeGreaterThanOrEqual(before.now.getTime());
    }),

  'takes at most as many as asked for, and the rest the next time': (_, open) =>
    on(open(), async (h) => {
      const devices = await fallen(h, 7);
      const found = [];
      for (const expected of [3, 3, 1, 0]) {
        const { turns } = await recover(h, { maxTurns: 3 });
        expect(turns).toHaveLength(expected);
        found.push(...turns.map(({ device }) => device));
      }
      expect(found.toSorted()).toEqual(devices.toSorted());
    }),

  'goes on past what only looked like work until it has as many as asked for': (_, open) =>
    on(open({ maxAttempts: 1 }), async (h) => {
      // replies whose sender fell become unknown by a look; a message that failed once too often is set aside by one
      for (let i = 0; i < 5; i++) {
        const sending = newDevice();
        await commit(h.storage, await take(h.storage, sending), toSend('a'));
        await h.shift(sending, { turn: 0 });
        const poison = newDevice();
        await take(h.storage, poison);
        await h.shift(poison, { turn: 0 });
      }
      const [waiting] = await fallen(h, 1);
      const { turns } = await recover(h, { maxTurns: 1 });
      expect(turns.map(({ device }) => device)).toEqual([waiting]);
    }),

  'sent twice by one call gives the same turns': (_, open) =>
    on(open(), async (h) => {
      await fallen(h, 6);
      const requestId = randomUUID();
      const fences = async () =>
        (await recover(h, { requestId, maxTurns: 3 })).turns.map(({ fence }) => fence).toSorted();
      const first = await fences();
      expect(first).toHaveLength(3);
      expect(await fences()).toEqual(first);
    }),

  'leaves a device alone whose turn failed a moment ago': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.fail(device, turn.fence, 'Error');
    expect(await recoverFor(h, device)).toBeUndefined();
    await h.shift(device, { turn: 0 });
    expect(await recoverFor(h, device)).toBeDefined();
  },

  'leaves what has only just come in to whoever stored it, and takes all of it with what rests no more':
    async (h) => {
      const [fresh, rested] = [newDevice(), newDevice()];
      const late = message(rested, { content: 'late' });
      await h.storage.accept([message(fresh), message(rested)], terms({ maxTurns: 0 }));
      await h.age(rested, 10_000);
      await h.storage.accept([late], terms({ maxTurns: 0 }));
      const call = { requestId: randomUUID(), leaseMs: 60_000, maxTurns: 100 };
      const { turns } = await h.storage.recover(call, 10_000);
      expect(turns.find(({ device }) => device === fresh)).toBeUndefined();
      const own = turns.find(({ device }) => device === rested);
      expect(contentsOf(own)).toEqual(['hello', 'late']);
      expect(await recoverFor(h, fresh)).toBeDefined();
    },

  'finds what fell behind any number of messages that have only just come in': (_, open) =>
    on(open(), async (h) => {
      const [old] = await fallen(h, 1);
      if (old === undefined) throw new Error('nothing fell');
      await h.age(old, 10_000);
      await fallen(h, 300);
      const call = { requestId: randomUUID(), leaseMs: 60_000, maxTurns: 1 };
      const { turns } = await h.storage.recover(call, 10_000);
      expect(turns.map(({ device }) => device)).toEqual([old]);
    }),

  'brings replies that are due before messages that wait': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const { replies } = await commit(h.storage, turn, toSend('a'));
    await h.storage.accept([message(device)], terms());
    await h.storage.settle(
      device,
      turn.fence,
      replies.map(({ id }) => ({ id, status: 'pending' })),
      0,
    );
    expect(await recoverFor(h, device)).toMatchObject({
      messages: [],
      replies: [{ content: 'a' }],
    });
  },

  'fifty times at once gives each turn once': (_, open) =>
    on(open(), async (h) => {
      const devices = await fallen(h, 40);
      const found = await Promise.all(
        Array.from({ length: 50 }, () => recover(h, { maxTurns: 3 })),
      );
      // who is passed by while another holds it is found by the next
      const rest = await recover(h);
      const taken = [...found, rest].flatMap(({ turns }) => turns.map(({ device }) => device));
      expect(taken.toSorted()).toEqual(devices.toSorted());
    }),
} satisfies Cases;
