import { expect } from 'vitest';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf } from './ways.ts';

/** What comes in more than once: by a call that is made again, or as a message that is delivered again. */
export const repeatedCases = {
  'sent twice by one call gives the same turn, the same result and one message': async (h) => {
    const device = newDevice();
    const once = message(device);
    const owner = terms();
    const [first] = await h.storage.accept([once], owner);
    const [second] = await h.storage.accept([once], owner);
    expect(second?.turn).toEqual(first?.turn);
    expect(second?.messages).toEqual(first?.messages);
    expect(await h.messages(device)).toHaveLength(1);
  },

  'sent twice by one call gives the turns of the first time, also where it may take fewer than it has devices':
    async (h) => {
      const devices = Array.from({ length: 6 }, newDevice);
      const batch = devices.map((device) => message(device));
      const owner = terms({ maxTurns: 2 });
      const fences = async () =>
        (await h.storage.accept(batch, owner)).flatMap(({ turn }) => turn?.fence ?? []);
      const first = await fences();
      expect(first).toHaveLength(2);
      expect((await fences()).toSorted()).toEqual(first.toSorted());
    },

  'takes a redelivered message once, and a second copy in one batch as one': async (h) => {
    const device = newDevice();
    const twice = message(device);
    const turn = await take(h.storage, device, twice);
    const [again] = await h.storage.accept([twice, twice], terms());
    expect(again?.messages.map(({ index, duplicate }) => [index, duplicate])).toEqual([
      [0, true],
      [1, true],
    ]);
    await commit(h.storage, turn, commitOf('once'));
    const [late] = await h.storage.accept([twice], terms());
    expect(late).toMatchObject({
      turn: null,
      waiting: false,
      messages: [{ duplicate: true, status: 'answered' }],
    });
    expect(await h.messages(device)).toHaveLength(2);
  },

  'of copies in one batch stores the first, whatever the others say': async (h) => {
    const device = newDevice();
    // 13 has no divisor in common with 40: every copy comes between others
    const order = Array.from({ length: 200 }, (_, i) => ({ id: (i * 13) % 40, copy: i }));
    const [accepted] = await h.storage.accept(
      order.map(({ id, copy }) => message(device, { externalId: `m${id}`, content: String(copy) })),
      terms(),
    );
    expect(new Set(accepted?.messages.map(({ id }) => id)).size).toBe(40);
    expect(contentsOf(accepted?.turn)?.toSorted()).toEqual(
      Array.from({ length: 40 }, (_, i) => String(i)).toSorted(),
    );
  },

  'gives the turn to a redelivery whose first copy still waits after its worker was killed': async (
    h,
  ) => {
    const device = newDevice();
    const twice = message(device);
    const killed = await take(h.storage, device, twice);
    await h.shift(device, { turn: 0 });
    const [again] = await h.storage.accept([twice], terms());
    expect(again?.messages).toMatchObject([{ duplicate: true, status: 'waiting' }]);
    expect(again?.turn?.messages.map(({ id }) => id)).toEqual(killed.messages.map(({ id }) => id));
    expect(Number(again?.turn?.fence)).toBeGreaterThan(Number(killed.fence));
  },

  'takes the same external id of two channels, accounts or devices as different messages': async (
    h,
  ) => {
    const [one, two] = [newDevice(), newDevice()];
    const externalId = 'same';
    const accepted = await h.storage.accept(
      [
        message(one, { externalId }),
        message(one, { externalId, channel: 'other' }),
        message(one, { externalId, account: 'other' }),
        message(two, { externalId }),
      ],
      terms(),
    );
    expect(accepted.flatMap((entry) => entry.messages.map(({ duplicate }) => duplicate))).toEqual([
      false,
      false,
      false,
      false,
    ]);
  },
} satisfies Cases;
