import { expect } from 'vitest';
import type { DeviceId, IncomingMessage } from '../../lib/storage/storage.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';
import type { Cases } from './case.ts';

const DAY = 86_400_000;

const echo = (ttlSeconds: number | null, some: Partial<IncomingMessage> = {}) => ({
  byHuman: { ttlSeconds },
  content: 'I take over',
  ...some,
});

const ways = (h: Harness) => ({
  accept: async (device: DeviceId, ...some: Partial<IncomingMessage>[]) => {
    const messages = some.map((one) => message(device, one));
    const [accepted] = await h.storage.accept(messages, terms());
    if (accepted === undefined) throw new Error('no device');
    return accepted;
  },
  history: async (device: DeviceId) =>
    (await h.messages(device)).map(({ seq, role, content, status }) => [
      seq,
      role,
      content,
      status,
    ]),
});

/** What a channel tells beside messages to answer: reactions, colleagues, deletions. */
export const channelEventCases = {
  'a message without a turn enters the history at once, and is handed to nobody': async (h) => {
    const { accept, history } = ways(h);

    const device = newDevice();
    const { turn, waiting } = await accept(device, { content: 'a thumb', turn: false });
    expect({ turn, waiting }).toEqual({ turn: null, waiting: false });
    const next = await accept(device, { content: 'hello' });
    expect(next.turn?.messages.map(({ content }) => content)).toEqual(['hello']);
    expect(next.turn?.history.map(({ content }) => content)).toEqual(['a thumb']);
    expect(await history(device)).toEqual([
      [1, 'user', 'a thumb', 'recorded'],
      [null, 'user', 'hello', 'waiting'],
    ]);
  },

  'a message without a turn between messages of one body leaves them their turn, and stands in the order of its clock':
    async (h) => {
      const { accept, history } = ways(h);

      const device = newDevice();
      const accepted = await accept(
        device,
        { content: 'one' },
        { content: 'second', turn: false },
        { content: 'first', turn: false, sentAt: new Date(Date.now() - 60_000) },
        { content: 'two' },
      );
      expect(accepted.turn?.messages.map(({ content }) => content)).toEqual(['one', 'two']);
      expect(accepted.messages.map(({ status }) => status)).toEqual([
        'waiting',
        'recorded',
        'recorded',
        'waiting',
      ]);
      expect((await history(device)).slice(0, 2)).toEqual([
        [1, 'user', 'first', 'recorded'],
        [2, 'user', 'second', 'recorded'],
      ]);
    },

  'a message without a turn is what one becomes that was sent longer ago than it may be answered, to the second':
    async (h) => {
      const { accept } = ways(h);

      const device = newDevice();
      const { now } = await h.storage.ping();
      const sent = (age: number) => ({
        sentAt: new Date(now.getTime() - age),
        answerWithin: DAY / 1_000,
      });
      const late = await accept(device, { content: 'late', ...sent(DAY + 1) });
      expect(late.turn).toBeNull();
      const just = await accept(device, { content: 'just in time', ...sent(DAY - 60_000) });
      expect(just.turn?.messages.map(({ content }) => content)).toEqual(['just in time']);
    },

  'a redelivery does not open a session, nor prolong one': async (h) => {
    const { accept } = ways(h);

    const device = newDevice();
    const said = { externalId: 'm' };
    const first = await accept(device, said);
    if (first.turn === null) throw new Error('not free');
    await commit(h.storage, first.turn, commitOf('answer'));
    await h.shift(device, { session: 0 });
    const again = await accept(device, said);
    expect(again.messages).toMatchObject([{ duplicate: true, status: 'answered' }]);
    const next = await accept(device, {});
    expect(next.turn?.sessionId).not.toBe(first.turn.sessionId);
    expect(next.turn?.history).toEqual([]);
  },

  'a colleague who answers holds the conversation, stands in the history as human, and takes the turn from whoever works on it':
    async (h) => {
      const { accept, history } = ways(h);

      const device = newDevice();
      const turn = await take(h.storage, device, { content: 'question' });
      const { lock, turn: none } = await accept(device, echo(3_600));
      expect(none).toBeNull();
      expect(lock).toMatchObject({ agent: 'human', sessionTtl: 3_600 });
      const late = await h.storage.commit(device, turn.fence, 'builtin', commitOf('late'), 1_000);
      expect(late.outcome).toBe('lost');
      expect(await history(device)).toEqual([
        [1, 'assistant', 'I take over', 'recorded'],
        [2, 'user', 'question', 'recorded'],
      ]);
      expect((await accept(device, { content: 'thanks' })).turn).toBeNull();
    },

  'a colleague who answers renews the hold with each answer, and a redelivery does not': async (
    h,
  ) => {
    const { accept } = ways(h);

    const device = newDevice();
    await accept(device, echo(3_600, { externalId: 'e1' }));
    await h.shift(device, { lock: 1_000 });
    await accept(device, echo(3_600, { externalId: 'e1' }));
    const soon = (await h.storage.getLock(device)).lock;
    await accept(device, echo(3_600, { externalId: 'e2' }));
    const later = (await h.storage.getLock(device)).lock;
    expect(later?.version).toBe(soon?.version);
    const gained = (later?.expiresAt.getTime() ?? 0) - (soon?.expiresAt.getTime() ?? 0);
    expect(gained).toBeGreaterThan(3_500_000);
  },

  'a colleague who answers does not cut an operator’s longer hold short': async (h) => {
    const { accept } = ways(h);

    const device = newDevice();
    await h.storage.setLock(device, { agent: 'human', ttlSeconds: 86_400 }, { kind: 'none' });
    const { lock } = await accept(device, echo(60));
    expect(lock?.sessionTtl).toBe(86_400);
  },

  'a colleague who answers is only noted where nothing is taken over, or it was too long ago':
    async (h) => {
      const { accept, history } = ways(h);

      const device = newDevice();
      const { now } = await h.storage.ping();
      const { lock } = await accept(
        device,
        echo(null),
        echo(60, { sentAt: new Date(now.getTime() - 2 * DAY), answerWithin: 86_400 }),
      );
      expect(lock).toBeNull();
      expect((await history(device)).map(([, , , status]) => status)).toEqual([
        'recorded',
        'recorded',
      ]);
    },

  'a message that was taken back is marked where it is known, and nowhere else': async (h) => {
    const { accept } = ways(h);

    const device = newDevice();
    const turn = await take(h.storage, device, { externalId: 'm', metadata: { kind: 'text' } });
    await commit(h.storage, turn, commitOf('answer'));
    const stranger = newDevice();
    await accept(stranger, { revokes: 'm', account: device, turn: false });
    await accept(device, { revokes: 'unknown', turn: false });
    expect((await take(h.storage, device)).history[0]?.metadata).toEqual({ kind: 'text' });
    await accept(device, { revokes: 'm', turn: false });
    const again = (await h.storage.accept([message(device)], terms()))[0];
    expect(again?.turn).toBeNull();
    await h.shift(device, { turn: 0 });
    const [seen] = (await h.storage.next([device], terms())).turns;
    expect(seen?.history[0]?.metadata).toEqual({ kind: 'text', deleted: true });
  },
} satisfies Cases;
