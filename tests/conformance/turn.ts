import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fence, Version } from '../../lib/storage/storage.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';

export function turnPromises(open: () => Promise<Harness>): void {
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

  describe('commit', () => {
    it('answers what was handed over, numbers messages and replies without a gap, and releases', async () => {
      const device = newDevice();
      for (let i = 0; i < 3; i++) {
        const turn = await take(h.storage, device);
        const result = await commit(h.storage, turn, commitOf(`a${i}`, `b${i}`));
        expect(result).toMatchObject({
          turn: null,
          deliver: false,
          answered: turn.messages.map(({ id, messageId }) => ({ id, messageId })),
        });
        expect(result.replies.map(({ content }) => content)).toEqual([`a${i}`, `b${i}`]);
      }
      const stored = await h.messages(device);
      expect(stored.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(stored[1]?.answers).toEqual([stored[0]?.id]);
      expect(stored.map(({ status }) => status)).toEqual(
        [1, 2, 3].flatMap(() => ['answered', 'sent', 'sent']),
      );
    });

    it('keeps the turn, under a larger fence, when more came in meanwhile', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.accept([message(device, { content: 'more' })], terms());
      const kept = (await commit(h.storage, turn, commitOf('a'))).turn;
      expect(kept?.messages.map(({ content }) => content)).toEqual(['more']);
      expect(kept?.history.map(({ content }) => content)).toEqual(['hello', 'a']);
      expect(Number(kept?.fence)).toBeGreaterThan(Number(turn.fence));
      expect(
        (await h.storage.commit(device, turn.fence, 'builtin', commitOf('late'), 1)).outcome,
      ).toBe('lost');
    });

    it('sent twice writes once and returns the same continuation; with other content it is refused', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.accept([message(device)], terms());
      const content = {
        ...commitOf('a'),
        statePatch: { n: 1 },
        lock: { do: 'set' as const, agent: 'billing', ttl: 60 },
      };
      const { now: _first, ...first } = await commit(h.storage, turn, content);
      const { now: _second, ...second } = await commit(h.storage, turn, content);
      expect(second).toEqual(first);
      expect(
        (await h.storage.commit(device, turn.fence, 'builtin', commitOf('b'), 60_000)).outcome,
      ).toBe('lost');
      expect((await h.messages(device)).filter(({ role }) => role === 'assistant')).toHaveLength(1);
    });

    it('writes nothing with a fence that is not the newest', async () => {
      const device = newDevice();
      const late = await take(h.storage, device);
      await h.shift(device, { turn: 0 });
      const [current] = (await h.storage.next([device], terms())).turns;
      const before = await h.messages(device);
      const content = {
        ...commitOf('late'),
        statePatch: { late: true },
        lock: { do: 'set' as const, agent: 'late', ttl: 60 },
      };
      expect((await h.storage.commit(device, late.fence, 'builtin', content, 60_000)).outcome).toBe(
        'lost',
      );
      expect(await h.storage.extend(device, late.fence, 'builtin', 60_000)).toBeNull();
      expect(await h.storage.giveBack(device, late.fence, 'builtin')).toBe(false);
      expect(await h.storage.fail(device, late.fence, 'late')).toBeNull();
      expect(await h.storage.settle(device, late.fence, [], 60_000)).toBeNull();
      expect(await h.messages(device)).toEqual(before);
      expect((await h.storage.getState(device)).version).toBeNull();
      expect((await h.storage.getLock(device)).lock).toBeNull();
      expect(current && (await commit(h.storage, current, commitOf('now'))).outcome).toBe(
        'committed',
      );
    });

    it('still counts after its lease ran out, as long as nobody has taken the turn', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.shift(device, { turn: -1_000 });
      expect((await commit(h.storage, turn, commitOf('just in time'))).outcome).toBe('committed');
    });

    it('leaves a lock alone that somebody else moved since the grant, even there and back', async () => {
      const device = newDevice();
      const set = (agent: string) =>
        h.storage.setLock(device, { agent, ttlSeconds: 60 }, { kind: 'none' });
      const to = (agent: string) => ({
        ...commitOf('x'),
        lock: { do: 'set' as const, agent, ttl: 60 },
      });
      const first = await take(h.storage, device);
      await set('billing');
      expect((await commit(h.storage, first, to('scheduling'))).lock?.agent).toBe('billing');
      const second = await take(h.storage, device);
      await set('other');
      await set('billing');
      expect((await commit(h.storage, second, to('scheduling'))).lock?.agent).toBe('billing');
      const third = await take(h.storage, device);
      await h.storage.clearLock(device, { kind: 'none' });
      expect((await commit(h.storage, third, to('scheduling'))).lock).toBeNull();
      const fourth = await take(h.storage, device);
      expect((await commit(h.storage, fourth, to('scheduling'))).lock?.agent).toBe('scheduling');
    });

    it('renews, keeps, sets and clears the lock as told', async () => {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      await h.shift(device, { lock: 10_000 });
      const kept = await commit(h.storage, await take(h.storage, device), commitOf('x'));
      expect(Number(kept.lock?.expiresAt) - Number(kept.now)).toBeLessThan(10_001);
      const renewed = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'renew' },
      });
      expect(Number(renewed.lock?.expiresAt) - Number(renewed.now)).toBe(60_000);
      expect(renewed.lock?.version).toBe(kept.lock?.version);
      const longer = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'renew', ttl: 600 },
      });
      expect(Number(longer.lock?.expiresAt) - Number(longer.now)).toBe(600_000);
      const cleared = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'clear' },
      });
      expect(cleared.lock).toBeNull();
      const nothing = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'renew' },
      });
      expect(nothing.lock).toBeNull();
    });

    it('merges a patch into what stands there, and replaces only what nobody has changed since the grant', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.patchState(device, { theirs: 1 }, { kind: 'none' });
      expect(
        (
          await h.storage.commit(
            device,
            turn.fence,
            'builtin',
            { ...commitOf('x'), state: { mine: 1 } },
            60_000,
          )
        ).outcome,
      ).toBe('state_conflict');
      expect((await h.messages(device)).map(({ status }) => status)).toEqual(['waiting']);
      await commit(h.storage, turn, { ...commitOf('x'), statePatch: { mine: 1 } });
      expect((await h.storage.getState(device)).state).toEqual({ theirs: 1, mine: 1 });
      await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        state: { only: 1 },
      });
      expect((await h.storage.getState(device)).state).toEqual({ only: 1 });
    });

    it('with a state that is too large writes nothing at all, and leaves the turn as it was', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      const content = {
        ...commitOf('x'),
        statePatch: { large: 'x'.repeat(1_100_000) },
        lock: { do: 'set' as const, agent: 'a', ttl: 1 },
      };
      await expect(
        h.storage.commit(device, turn.fence, 'builtin', content, 60_000),
      ).rejects.toMatchObject({ code: 'state_too_large' });
      expect(await h.messages(device)).toMatchObject([{ status: 'waiting', seq: null }]);
      expect((await h.storage.getLock(device)).lock).toBeNull();
      expect((await commit(h.storage, turn, commitOf('x'))).outcome).toBe('committed');
    });

    it('gives at most the last messages of the session, oldest first', async () => {
      const device = newDevice();
      for (let i = 0; i < 12; i++)
        await commit(
          h.storage,
          await take(h.storage, device, { content: `q${i}` }),
          commitOf(`a${i}`),
        );
      const turn = await take(h.storage, device);
      expect(turn.history).toHaveLength(20);
      expect(turn.history.map(({ content }) => content)).toEqual(
        Array.from({ length: 10 }, (_, i) => [`q${i + 2}`, `a${i + 2}`]).flat(),
      );
    });
  });

  describe('a chat session', () => {
    it('goes on while it lives, ends with its time or when completed, and takes its history along', async () => {
      const device = newDevice();
      const first = await take(h.storage, device);
      await commit(h.storage, first, commitOf('a'));
      const second = await take(h.storage, device);
      expect(second.sessionId).toBe(first.sessionId);
      await commit(h.storage, second, commitOf('b'));
      await h.shift(device, { session: 0 });
      const third = await take(h.storage, device);
      expect(third.sessionId).not.toBe(first.sessionId);
      expect(third.history).toEqual([]);
      await commit(h.storage, third, { ...commitOf('c'), complete: true });
      expect((await take(h.storage, device)).sessionId).not.toBe(third.sessionId);
    });

    it('has a turn of its own: messages of an older one are answered first, and apart', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.accept([message(device, { content: 'old' })], terms());
      await h.shift(device, { session: 0 });
      await h.storage.accept([message(device, { content: 'new' })], terms());
      const old = (await commit(h.storage, turn, commitOf('x'))).turn;
      expect(old?.messages.map(({ content }) => content)).toEqual(['old']);
      const next = old && (await commit(h.storage, old, commitOf('y'))).turn;
      expect(next?.messages.map(({ content }) => content)).toEqual(['new']);
      expect(next?.sessionId).not.toBe(turn.sessionId);
    });
  });

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

  describe('clean-up', () => {
    it('ends lapsed locks and nothing that lives, also when two run at once', async () => {
      const devices = Array.from({ length: 40 }, newDevice);
      const versions = new Map<string, Version | undefined>();
      for (const [i, device] of devices.entries()) {
        const set = await h.storage.setLock(
          device,
          { agent: 'billing', ttlSeconds: 600 },
          { kind: 'none' },
        );
        versions.set(device, set.written ? set.lock.version : undefined);
        if (i % 2 === 0) await h.shift(device, { lock: 0 });
      }
      const runs = await Promise.all([h.storage.cleanUp(7), h.storage.cleanUp(7)]);
      expect(runs.every((run) => run.more)).toBe(true);
      let cleaned = runs.reduce((sum, run) => sum + run.expiredLocks, 0);
      for (let more = true; more;) {
        const run = await h.storage.cleanUp(100);
        cleaned += run.expiredLocks;
        more = run.more;
      }
      expect(cleaned).toBeGreaterThanOrEqual(20);
      for (const [i, device] of devices.entries()) {
        const { lock } = await h.storage.getLock(device);
        expect(lock?.version).toBe(i % 2 === 0 ? undefined : versions.get(device));
        expect(await h.events(device)).toEqual(
          i % 2 === 0 ? [{ agent: 'billing', reason: 'expired' }] : [],
        );
      }
    });
  });
}
