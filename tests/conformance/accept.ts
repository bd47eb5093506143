import { expect } from 'vitest';
import { commit, commitOf, message, newDevice, take, terms, time } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf, retake } from './ways.ts';

/** What comes in: stored once, in order, and the turn taken if it is free. */
export const acceptCases = {
  'stores a message and gives the turn with everything needed to answer': async (h) => {
    const device = newDevice();
    await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
    const put = await h.storage.putState(device, { invoice: 7 }, { kind: 'none' });
    const [accepted] = await h.storage.accept(
      [message(device, { content: 'hi', metadata: { a: [1, { b: null }] } })],
      terms(),
    );
    expect(accepted).toMatchObject({
      device,
      waiting: false,
      messages: [{ index: 0, status: 'waiting', duplicate: false }],
      lock: { agent: 'billing' },
      turn: {
        device,
        channel: 'web',
        account: device,
        address: {},
        lock: { agent: 'billing' },
        state: { invoice: 7 },
        stateVersion: put.written && put.version,
        messages: [{ role: 'user', content: 'hi', metadata: { a: [1, { b: null }] }, agent: null }],
        history: [],
        replies: [],
      },
    });
    expect(Number(accepted?.turn?.expiresAt) - Number(accepted?.now)).toBe(60_000);
    expect(accepted?.turn?.messages[0]).toMatchObject({
      id: accepted?.messages[0]?.id,
      messageId: accepted?.messages[0]?.messageId,
      sentAt: accepted?.now,
      createdAt: accepted?.now,
    });
  },

  'queues behind a turn that somebody else holds': async (h) => {
    const device = newDevice();
    await take(h.storage, device);
    const [accepted] = await h.storage.accept([message(device)], terms());
    expect(accepted).toMatchObject({
      turn: null,
      waiting: true,
      messages: [{ duplicate: false }],
    });
  },

  'hands messages over by their senders’ clocks, then by arrival, and mistrusts clocks that make no sense':
    async (h) => {
      const device = newDevice();
      const { now } = await h.storage.ping();
      const at = (ms: number) => new Date(now.getTime() + ms);
      const turn = await take(h.storage, device, { content: 'first', sentAt: at(-100_000) });
      const sent: [string, Date][] = [
        ['three', at(-7_000)],
        ['one', at(-9_000)],
        ['two', at(-8_000)],
        ['two and a half', at(-8_000)],
        ['thirty days and more', at(-30 * time.day - time.minute)],
        ['nearly thirty days', at(-30 * time.day + time.minute)],
        ['in nine minutes', at(9 * time.minute)],
        ['in eleven minutes', at(11 * time.minute)],
        ['year 5138', new Date(1e14)],
        ['year 1960', new Date(-3e11)],
      ];
      await h.storage.accept(
        sent.map(([content, sentAt]) => message(device, { content, sentAt })),
        terms(),
      );
      const kept = await commit(h.storage, turn, commitOf('ok'));
      expect(contentsOf(kept.turn)).toEqual([
        'nearly thirty days',
        'one',
        'two',
        'two and a half',
        'three',
        'thirty days and more',
        'in eleven minutes',
        'year 5138',
        'year 1960',
        'in nine minutes',
      ]);
    },

  'takes at most maxTurns of a batch of many senders, and says who still waits': async (h) => {
    const devices = Array.from({ length: 10 }, newDevice);
    const accepted = await h.storage.accept(
      devices.map((device) => message(device)),
      terms({ maxTurns: 3 }),
    );
    expect(accepted.map(({ device }) => device).toSorted()).toEqual(devices.toSorted());
    expect(accepted.filter((entry) => entry.turn !== null)).toHaveLength(3);
    const waiting = accepted.filter((entry) => entry.waiting).map((entry) => entry.device);
    expect(waiting).toHaveLength(7);
    const { turns } = await h.storage.next(waiting, terms({ maxTurns: 5 }));
    expect(turns).toHaveLength(5);
  },

  'tells of each message of a batch by its place': async (h) => {
    const [one, two] = [newDevice(), newDevice()];
    const accepted = await h.storage.accept(
      [one, two, one, two, one].map((device, i) => message(device, { externalId: `m${i}` })),
      terms(),
    );
    const told = accepted.flatMap(({ device, messages }) =>
      messages.map(({ index, messageId }) => [index, messageId, device]),
    );
    expect(told.toSorted()).toEqual(
      [one, two, one, two, one].map((device, i) => [i, `m${i}`, device]),
    );
  },

  'hands over at most a hundred messages, then the next hundred': async (h) => {
    const device = newDevice();
    const [accepted] = await h.storage.accept(
      Array.from({ length: 150 }, (_, i) => message(device, { content: String(i) })),
      terms(),
    );
    const numbers = Array.from({ length: 150 }, (_, i) => String(i));
    expect(contentsOf(accepted?.turn)).toEqual(numbers.slice(0, 100));
    if (accepted?.turn == null) throw new Error('the turn was not free');
    const kept = await commit(h.storage, accepted.turn, commitOf('ok'));
    expect(contentsOf(kept.turn)).toEqual(numbers.slice(100));
  },

  'hands over what came by one way only: messages of another channel or account wait for a turn of their own':
    async (h) => {
      const device = newDevice();
      const ways = [
        { channel: 'a', account: '1', content: 'one' },
        { channel: 'b', account: '1', content: 'other channel' },
        { channel: 'a', account: '2', content: 'other account' },
        { channel: 'a', account: '1', content: 'two' },
      ];
      const [accepted] = await h.storage.accept(
        ways.map((way) => message(device, way)),
        terms(),
      );
      const handed: unknown[] = [];
      for (let turn = accepted?.turn ?? null; turn !== null;) {
        handed.push([turn.channel, turn.account, ...(contentsOf(turn) ?? [])]);
        const { replies, turn: next } = await commit(h.storage, turn, commitOf('ok'));
        expect(replies).toHaveLength(1);
        turn = next;
      }
      expect(handed).toEqual([
        ['a', '1', 'one', 'two'],
        ['b', '1', 'other channel'],
        ['a', '2', 'other account'],
      ]);
    },

  'may keep a message to the history alone: no turn starts for it': async (h) => {
    const device = newDevice();
    const { now } = await h.storage.ping();
    const [accepted] = await h.storage.accept(
      [
        message(device, { content: 'a reaction', turn: false }),
        message(device, {
          content: 'an old one',
          sentAt: new Date(now.getTime() - 2 * time.hour),
          answerWithin: 3_600,
        }),
      ],
      terms(),
    );
    expect(accepted).toMatchObject({
      turn: null,
      waiting: false,
      messages: [{ status: 'recorded' }, { status: 'recorded' }],
    });
    const turn = await take(h.storage, device, { content: 'in time', answerWithin: 3_600 });
    expect(turn.history.map(({ content }) => content)).toEqual(['an old one', 'a reaction']);
    expect(contentsOf(turn)).toEqual(['in time']);
    expect(await h.sessions(device)).toMatchObject([{ messageCount: 2 }]);
  },

  'lets what a person says for the business hold the conversation, and answers it never': async (
    h,
  ) => {
    const device = newDevice();
    const turn = await take(h.storage, device, { content: 'a question' });
    const said = message(device, { content: 'a person answers', byHuman: { ttlSeconds: 60 } });
    const [accepted] = await h.storage.accept([said], terms());
    expect(accepted).toMatchObject({
      turn: null,
      waiting: false,
      lock: { agent: 'human', sessionTtl: 60 },
      messages: [{ status: 'recorded', duplicate: false }],
    });
    expect(
      (await h.storage.commit(device, turn.fence, 'builtin', commitOf('late'), 60_000)).outcome,
    ).toBe('lost');
    expect((await h.messages(device)).map(({ role, content }) => [role, content])).toEqual([
      ['assistant', 'a person answers'],
      ['user', 'a question'],
    ]);
    await h.storage.accept([said], terms());
    expect(await h.messages(device)).toHaveLength(2);
  },

  'cuts no longer hold of a person short, and takes none where none is asked for': async (h) => {
    const device = newDevice();
    const echo = (ttlSeconds: number | null) => message(device, { byHuman: { ttlSeconds } });
    const [none] = await h.storage.accept([echo(null)], terms());
    expect(none).toMatchObject({ lock: null, messages: [{ status: 'recorded' }] });
    await h.storage.setLock(device, { agent: 'human', ttlSeconds: 600 }, { kind: 'none' });
    const [shorter] = await h.storage.accept([echo(60)], terms());
    expect(shorter?.lock?.sessionTtl).toBe(600);
    const [longer] = await h.storage.accept([echo(6_000)], terms());
    expect(longer?.lock?.sessionTtl).toBe(6_000);
  },

  'marks a message that was taken back, of this device and no other’s': async (h) => {
    const [one, two] = [newDevice(), newDevice()];
    const way = { channel: 'c', account: 'a' };
    await h.storage.accept(
      [
        message(one, { ...way, externalId: 'm1', metadata: { a: 1 } }),
        message(two, { ...way, externalId: 'm2' }),
      ],
      terms(),
    );
    const takesBack = (revokes: string) =>
      message(one, { ...way, content: '', turn: false, revokes });
    await h.storage.accept([takesBack('m1'), takesBack('m2'), takesBack('unknown')], terms());
    await h.shift(one, { turn: 0 });
    await h.shift(two, { turn: 0 });
    expect((await retake(h, one))?.messages.map(({ metadata }) => metadata)).toEqual([
      { a: 1, deleted: true },
    ]);
    expect((await retake(h, two))?.messages.map(({ metadata }) => metadata)).toEqual([{}]);
  },
} satisfies Cases;
