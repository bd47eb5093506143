import { expect } from 'vitest';
import type { IncomingMessage } from '../../lib/storage/storage.ts';
import { type Harness, message, newDevice, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';

let account = 0;
const ways = (h: Harness) => ({
  /** A person's messages to a business number of this case's own. */
  at: (number: number) => {
    return async (
      phone: string | null,
      userId: string | null,
      some: Partial<IncomingMessage> = {},
    ) => {
      const said = message(newDevice(), {
        sender: { phone, userId },
        channel: 'whatsapp',
        account: `p${number}`,
        ...some,
      });
      const [accepted] = await h.storage.accept([said], terms());
      if (accepted === undefined) throw new Error('no device');
      return accepted;
    };
  },
});
const deviceOf = async (accepted: Promise<{ device: string }>) => (await accepted).device;

/** What becomes of phones and user ids: learnt apart, shared, given up, changed. */
export const identityCases = {
  'whose first two messages arrive at once, one without the phone, is one person: 100 times':
    async (h) => {
      const { at } = ways(h);

      const pairs = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const write = at(++account);
          const first = [
            write(null, `U${i}`),
            write(`${i}`, `U${i}`),
            ...(i % 2 === 0 ? [] : [write(null, `U${i}`)]),
          ];
          const devices = (await Promise.all(first)).map(({ device }) => device);
          return new Set([...devices, await deviceOf(write(`${i}`, null))]).size;
        }),
      );
      expect(pairs).toEqual(pairs.map(() => 1));
    },

  'known by phone alone, then by user id alone, is one from the message on that carries both':
    async (h) => {
      const { at } = ways(h);

      const write = at(++account);
      await write('1', null);
      const device = await deviceOf(write(null, 'A'));
      expect(await deviceOf(write('1', 'A'))).toBe(device);
      expect(await deviceOf(write('1', null))).toBe(device);
    },

  'keeps the phone when somebody else is seen with it once': async (h) => {
    const { at } = ways(h);

    const write = at(++account);
    const ana = await deviceOf(write('1', 'ana'));
    const chen = await deviceOf(write('2', 'chen'));
    expect(await deviceOf(write('2', 'ana'))).toBe(ana);
    expect(await deviceOf(write('2', null))).toBe(chen);
  },

  'gets the number that somebody with a newer one has given up': async (h) => {
    const { at } = ways(h);

    const write = at(++account);
    const before = await deviceOf(write('1', 'ana'));
    expect(await deviceOf(write('2', 'ana'))).toBe(before);
    const heir = await deviceOf(write('1', 'ben'));
    expect(heir).not.toBe(before);
    expect(await deviceOf(write('1', null))).toBe(heir);
  },

  'two who share a phone in one body stay two': async (h) => {
    account++;
    const said = (userId: string) =>
      message(newDevice(), {
        sender: { phone: '1', userId },
        channel: 'whatsapp',
        account: `p${account}`,
      });
    const accepted = await h.storage.accept([said('A'), said('B')], terms());
    expect(new Set(accepted.map(({ device }) => device)).size).toBe(2);
  },

  'whose ids change stays the same: the new number, the new user id, and both': async (h) => {
    const { at } = ways(h);

    const write = at(++account);
    const device = await deviceOf(write('1', 'A'));
    const changed = await write('1', 'A', {
      becomes: { phone: '2', userId: 'B' },
      turn: false,
    });
    expect(changed.device).toBe(device);
    expect(await deviceOf(write('2', null))).toBe(device);
    expect(await deviceOf(write(null, 'B'))).toBe(device);
    await write(null, 'B', { becomes: { phone: null, userId: 'C' }, turn: false });
    expect(await deviceOf(write(null, 'C'))).toBe(device);
    await write('2', null, { becomes: { phone: '3', userId: null }, turn: false });
    expect(await deviceOf(write('3', null))).toBe(device);
  },

  'who wrote with the new ids before the change was told comes back to the old conversation':
    async (h) => {
      const { at } = ways(h);

      const write = at(++account);
      const device = await deviceOf(write('1', 'A'));
      const early = await deviceOf(write('2', 'B'));
      expect(early).not.toBe(device);
      await write('1', 'A', { becomes: { phone: '2', userId: 'B' }, turn: false });
      expect(await deviceOf(write('2', 'B'))).toBe(device);
    },

  'whose change of number is told again later does not take it back from whoever has it now':
    async (h) => {
      const { at } = ways(h);
      const write = at(++account);
      const told = {
        becomes: { phone: '2', userId: null },
        turn: false as const,
        externalId: 'told',
      };
      const ana = await write('1', 'A', told);
      await deviceOf(write('3', 'A'));
      const heir = await deviceOf(write('2', 'B'));
      expect(heir).not.toBe(ana.device);
      expect(await deviceOf(write('1', 'A', told))).toBe(ana.device);
      expect(await deviceOf(write('2', null))).toBe(heir);
    },

  'nobody has seen before may change ids too': async (h) => {
    const { at } = ways(h);

    const write = at(++account);
    const told = await write(null, 'A', { becomes: { phone: null, userId: 'B' }, turn: false });
    expect(await deviceOf(write(null, 'B'))).toBe(told.device);
  },

  'is matched by the key and answered at the number as it was written': async (h) => {
    const { at } = ways(h);

    const write = at(++account);
    const sender = { phone: '521', userId: null, dial: '5211' };
    const first = await write(null, null, { sender });
    expect(first.turn?.address).toEqual({ phone: '5211' });
    const again = await write(null, null, { sender: { ...sender, dial: '521' } });
    expect(again.device).toBe(first.device);
  },
} satisfies Cases;
