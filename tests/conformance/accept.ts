import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fence } from '../../lib/storage/storage.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';

export function acceptPromises(open: () => Promise<Harness>): void {
  let h: Harness;
  beforeAll(async () => {
    h = await open();
  });
  afterAll(() => h.close());

  describe('accept', () => {
    it('stores a message and gives the turn with everything needed to answer', async () => {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      await h.storage.putState(device, { invoice: 7 }, { kind: 'none' });
      const [accepted] = await h.storage.accept(
        [message(device, { content: 'hi', metadata: { a: 1 } })],
        terms(),
      );
      expect(accepted).toMatchObject({
        device,
        waiting: false,
        messages: [{ index: 0, status: 'waiting', duplicate: false }],
        turn: {
          device,
          channel: 'web',
          account: device,
          lock: { agent: 'billing' },
          state: { invoice: 7 },
          messages: [{ role: 'user', content: 'hi', metadata: { a: 1 } }],
          history: [],
          replies: [],
        },
      });
      expect(Number(accepted?.turn?.expiresAt) - Number(accepted?.now)).toBe(60_000);
    });

    it('sent twice by one call gives the same turn, the same result and one message', async () => {
      const device = newDevice();
      const once = message(device);
      const owner = terms();
      const [first] = await h.storage.accept([once], owner);
      const [second] = await h.storage.accept([once], owner);
      expect(second?.turn).toEqual(first?.turn);
      expect(second?.messages).toEqual(first?.messages);
      expect(await h.messages(device)).toHaveLength(1);
    });

    it('queues behind a turn that somebody else holds', async () => {
      const device = newDevice();
      await take(h.storage, device);
      const [accepted] = await h.storage.accept([message(device)], terms());
      expect(accepted).toMatchObject({
        turn: null,
        waiting: true,
        messages: [{ duplicate: false }],
      });
    });

    it('takes a redelivered message once, and a second copy in one batch as one', async () => {
      const device = newDevice();
      const twice = message(device);
      const turn = await take(h.storage, device, twice);
      const [again] = await h.storage.accept([twice, twice], terms());
      expect(again?.messages.map(({ duplicate }) => duplicate)).toEqual([true, true]);
      await commit(h.storage, turn, commitOf('once'));
      const [late] = await h.storage.accept([twice], terms());
      expect(late).toMatchObject({
        turn: null,
        waiting: false,
        messages: [{ duplicate: true, status: 'answered' }],
      });
      expect(await h.messages(device)).toHaveLength(2);
    });

    it('gives the turn to a redelivery whose first copy still waits after its worker was killed', async () => {
      const device = newDevice();
      const twice = message(device);
      const killed = await take(h.storage, device, twice);
      await h.shift(device, { turn: 0 });
      const [again] = await h.storage.accept([twice], terms());
      expect(again?.messages).toMatchObject([{ duplicate: true, status: 'waiting' }]);
      expect(again?.turn?.messages.map(({ id }) => id)).toEqual(
        killed.messages.map(({ id }) => id),
      );
      expect(Number(again?.turn?.fence)).toBeGreaterThan(Number(killed.fence));
    });

    it('takes the same external id of two channels, accounts or devices as different messages', async () => {
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
      expect(accepted.flatMap((entry) => entry.messages.map(({ duplicate }) => duplicate))).toEqual(
        [false, false, false, false],
      );
    });

    it('hands messages over by their senders’ clocks, then by arrival, and mistrusts clocks that make no sense', async () => {
      const device = newDevice();
      const at = (seconds: number) => new Date(Date.now() + seconds * 1_000);
      const turn = await take(h.storage, device, { content: 'first', sentAt: at(-100) });
      await h.storage.accept(
        [
          message(device, { content: 'three', sentAt: at(-7) }),
          message(device, { content: 'one', sentAt: at(-9) }),
          message(device, { content: 'two', sentAt: at(-8) }),
          message(device, { content: 'two and a half', sentAt: at(-8) }),
          message(device, { content: 'year 5138', sentAt: new Date(1e14) }),
          message(device, { content: 'year 1960', sentAt: new Date(-3e11) }),
        ],
        terms(),
      );
      const kept = await commit(h.storage, turn, commitOf('ok'));
      expect(kept.turn?.messages.map(({ content }) => content)).toEqual([
        'one',
        'two',
        'two and a half',
        'three',
        'year 5138',
        'year 1960',
      ]);
    });

    it('takes at most maxTurns of a batch of many senders, and says who still waits', async () => {
      const devices = Array.from({ length: 10 }, newDevice);
      const accepted = await h.storage.accept(
        devices.map((device) => message(device)),
        terms({ maxTurns: 3 }),
      );
      expect(accepted.filter((entry) => entry.turn !== null)).toHaveLength(3);
      const waiting = accepted.filter((entry) => entry.waiting).map((entry) => entry.device);
      expect(waiting).toHaveLength(7);
      const { turns } = await h.storage.next(waiting, terms({ maxTurns: 5 }));
      expect(turns).toHaveLength(5);
    });

    it('keeps the two lanes apart: one turn per device, and each side sees its own messages only', async () => {
      const device = newDevice();
      const builtin = await take(h.storage, device, { content: 'for the agents' });
      const [external] = await h.storage.accept(
        [message(device, { content: 'for the worker', channel: 'api' })],
        terms({ lane: 'external' }),
      );
      expect(external?.turn).toBeNull();
      expect((await commit(h.storage, builtin, commitOf('a'))).turn).toBeNull();
      expect((await h.storage.next([device], terms())).turns).toEqual([]);
      const [turn] = (await h.storage.next([device], terms({ lane: 'external' }))).turns;
      expect(turn?.messages.map(({ content }) => content)).toEqual(['for the worker']);
      expect(turn?.history).toEqual([]);
      expect(
        (await h.storage.commit(device, turn?.fence ?? ('0' as Fence), 'builtin', commitOf('x'), 1))
          .outcome,
      ).toBe('lost');
      await h.shift(device, { turn: 0 });
      expect(
        (await h.storage.recover({ requestId: 'r', leaseMs: 1_000, maxTurns: 100 })).turns.filter(
          (t) => t.device === device,
        ),
      ).toEqual([]);
    });
  });

  describe('people and their identities', () => {
    const from = (phone: string | null, userId: string | null, account: string) =>
      message(newDevice(), { sender: { phone, userId }, channel: 'whatsapp', account });
    let account = 0;

    it('are one person by phone, by user id, and by both, in whatever order they are learnt', async () => {
      const number = String(++account);
      const first = await h.storage.accept([from('1', null, number)], terms());
      const second = await h.storage.accept([from('1', 'A', number)], terms());
      const third = await h.storage.accept([from(null, 'A', number)], terms());
      const fourth = await h.storage.accept([from('2', 'A', number)], terms());
      const fifth = await h.storage.accept([from('2', null, number)], terms());
      const devices = [first, second, third, fourth, fifth].map((accepted) => accepted[0]?.device);
      expect(new Set(devices).size).toBe(1);
    });

    it('stay two where they share a phone, and where the business number is another', async () => {
      const number = String(++account);
      const [a] = await h.storage.accept([from('1', 'A', number)], terms());
      const [b] = await h.storage.accept([from('1', 'B', number)], terms());
      const [c] = await h.storage.accept([from('1', 'A', String(++account))], terms());
      expect(new Set([a?.device, b?.device, c?.device]).size).toBe(3);
    });

    it('are not split by fifty first messages that arrive at once, by phone, by user id and by both', async () => {
      const number = String(++account);
      const kinds: [string | null, string | null][] = [
        ['1', 'A'],
        ['1', null],
        ['1', 'A'],
      ];
      const accepted = await Promise.all(
        Array.from({ length: 50 }, (_, i) => {
          const [phone, userId] = kinds[i % kinds.length] ?? ['1', 'A'];
          return h.storage.accept([from(phone, userId, number)], terms());
        }),
      );
      expect(new Set(accepted.map((entries) => entries[0]?.device)).size).toBe(1);
    });

    it('are answered where they last wrote from, and never at a number that is somebody else’s', async () => {
      const number = String(++account);
      const said = async (phone: string | null, userId: string | null) => {
        const [accepted] = await h.storage.accept([from(phone, userId, number)], terms());
        if (accepted?.turn == null) throw new Error('the turn was not free');
        const content = { ...commitOf('answer'), deliver: true };
        const { replies } = await commit(h.storage, accepted.turn, content);
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
    });

    it('get a device nobody can guess from the number: a UUID of version 8', async () => {
      const [accepted] = await h.storage.accept(
        [from('15550001', null, String(++account))],
        terms(),
      );
      expect(accepted?.device).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
      expect(accepted?.turn?.address).toEqual({ phone: '15550001' });
    });
  });
}
