import { expect } from 'vitest';
import type { IncomingMessage } from '../../lib/storage/storage.ts';
import { commit, message, newDevice, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { toSend } from './ways.ts';

const from = (
  phone: string | null,
  userId: string | null,
  account: string,
  some: Partial<IncomingMessage> = {},
) => message(newDevice(), { sender: { phone, userId }, channel: 'whatsapp', account, ...some });

let accounts = 0;
/** A business number that no other case uses. */
const newAccount = () => `number-${++accounts}`;

/** Senders that a channel knows by phone, by user id, or by both. */
export const peopleCases = {
  'are one person by phone, by user id, and by both, in whatever order they are learnt': async (
    h,
  ) => {
    const account = newAccount();
    const steps: [string | null, string | null][] = [
      ['1', null],
      ['1', 'A'],
      [null, 'A'],
      ['2', 'A'],
      ['2', null],
    ];
    const devices = new Set<string | undefined>();
    for (const [phone, userId] of steps) {
      const [accepted] = await h.storage.accept([from(phone, userId, account)], terms());
      devices.add(accepted?.device);
    }
    expect(devices.size).toBe(1);
  },

  'are one person when the user id comes first and the phone with it later': async (h) => {
    const account = newAccount();
    const [first] = await h.storage.accept([from(null, 'A', account)], terms());
    const [second] = await h.storage.accept([from('1', 'A', account)], terms());
    const [third] = await h.storage.accept([from('1', null, account)], terms());
    expect([second?.device, third?.device]).toEqual([first?.device, first?.device]);
  },

  'stay two where they share a phone, and where the business number is another': async (h) => {
    const account = newAccount();
    const [a] = await h.storage.accept([from('1', 'A', account)], terms());
    const [b] = await h.storage.accept([from('1', 'B', account)], terms());
    const [c] = await h.storage.accept([from('1', 'A', newAccount())], terms());
    expect(new Set([a?.device, b?.device, c?.device]).size).toBe(3);
    const [again] = await h.storage.accept([from('1', null, account)], terms());
    expect(again?.device).toBe(a?.device);
  },

  'stay two where they share a phone in one body, and the phone is the first one’s': async (h) => {
    const account = newAccount();
    const accepted = await h.storage.accept(
      [from('1', 'A', account, { content: 'a' }), from('1', 'B', account, { content: 'b' })],
      terms(),
    );
    const turns = accepted.flatMap(({ turn }) => turn ?? []);
    const addressOf = (content: string) =>
      turns.find(({ messages }) => messages[0]?.content === content)?.address;
    expect(addressOf('a')).toEqual({ phone: '1', user_id: 'A' });
    expect(addressOf('b')).toEqual({ user_id: 'B' });
  },

  'are not split by fifty first messages that arrive at once, by phone, by user id and by both':
    async (h) => {
      const kinds: [string | null, string | null][][] = [
        [
          ['1', 'A'],
          ['1', null],
        ],
        [
          ['1', 'A'],
          [null, 'A'],
        ],
      ];
      for (const of of kinds) {
        const account = newAccount();
        await Promise.all(
          Array.from({ length: 50 }, (_, i) => {
            const [phone, userId] = of[i % of.length] ?? ['1', 'A'];
            return h.storage.accept([from(phone, userId, account)], terms());
          }),
        );
        const devices = new Set<string | undefined>();
        for (const [phone, userId] of [['1', 'A'] as const, ...of])
          devices.add((await h.storage.accept([from(phone, userId, account)], terms()))[0]?.device);
        expect(devices.size).toBe(1);
      }
    },

  'are answered where they last wrote from, and never at a number that is somebody else’s': async (
    h,
  ) => {
    const account = newAccount();
    const said = async (phone: string | null, userId: string | null) => {
      const [accepted] = await h.storage.accept([from(phone, userId, account)], terms());
      if (accepted?.turn == null) throw new Error('the turn was not free');
      const { replies } = await commit(h.storage, accepted.turn, toSend('answer'));
      const sent = replies.map(({ id }) => ({ id, status: 'sent' as const }));
      await h.storage.settle(accepted.device, accepted.turn.fence, sent, 60_000);
      return replies.map(({ address }) => address);
    };
    expect(await said('1', 'A')).toEqual([{ phone: '1', user_id: 'A' }]);
    expect(await said('2', 'A')).toEqual([{ phone: '2', user_id: 'A' }]);
    expect(await said('1', 'A')).toEqual([{ phone: '1', user_id: 'A' }]);
    expect(await said(null, 'A')).toEqual([{ user_id: 'A' }]);
    expect(await said('3', 'B')).toEqual([{ phone: '3', user_id: 'B' }]);
    expect(await said('3', 'A')).toEqual([{ user_id: 'A' }]);
  },

  'are dialled as the channel writes them, which is not what makes them one person': async (h) => {
    const account = newAccount();
    const sender = { phone: '1', userId: null };
    const [first] = await h.storage.accept(
      [from('1', null, account, { sender: { ...sender, dial: '+1 (0)' } })],
      terms(),
    );
    expect(first?.turn?.address).toEqual({ phone: '+1 (0)' });
    const [second] = await h.storage.accept([from('1', null, account)], terms());
    expect(second?.device).toBe(first?.device);
  },

  'whose ids have become others stay who they were, by the old ids and the new': async (h) => {
    const account = newAccount();
    const device = async (message: IncomingMessage) =>
      (await h.storage.accept([message], terms()))[0]?.device;
    const before = await device(from('1', 'A', account));
    const change = { turn: false, becomes: { phone: '2', userId: 'B' } } as const;
    expect(await device(from('1', 'A', account, change))).toBe(before);
    for (const [phone, userId] of [
      ['2', 'B'],
      ['2', null],
      [null, 'B'],
      ['1', 'A'],
    ] as const)
      expect(await device(from(phone, userId, account))).toBe(before);
  },

  'get a device nobody can guess from the number: a UUID of version 8': async (h) => {
    const [accepted] = await h.storage.accept([from('15550001', null, newAccount())], terms());
    expect(accepted?.device).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(accepted?.turn?.address).toEqual({ phone: '15550001' });
  },
} satisfies Cases;
