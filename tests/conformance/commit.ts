import { expect } from 'vitest';
import type { Commit } from '../../lib/storage/storage.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf, recoverFor, retake, toSend } from './ways.ts';

/** Answering a turn: all of it or nothing, once. */
export const commitCases = {
  'answers what was handed over, numbers messages and replies without a gap, and releases': async (
    h,
  ) => {
    const device = newDevice();
    for (let i = 0; i < 3; i++) {
      const turn = await take(h.storage, device);
      const result = await commit(h.storage, turn, commitOf(`a${i}`, `b${i}`));
      expect(result).toMatchObject({
        turn: null,
        deliver: false,
        sessionId: turn.sessionId,
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
  },

  'answers several messages at once, in the order in which they were handed over': async (h) => {
    const device = newDevice();
    const { now } = await h.storage.ping();
    const sentAt = (ms: number) => new Date(now.getTime() + ms);
    const [accepted] = await h.storage.accept(
      [
        message(device, { content: 'second', sentAt: sentAt(-1_000) }),
        message(device, { content: 'first', sentAt: sentAt(-2_000) }),
      ],
      terms(),
    );
    if (accepted?.turn == null) throw new Error('the turn was not free');
    await commit(h.storage, accepted.turn, commitOf('reply'));
    const stored = await h.messages(device);
    expect(stored.map(({ content }) => content)).toEqual(['first', 'second', 'reply']);
    expect(stored[2]?.answers).toEqual(stored.slice(0, 2).map(({ id }) => id));
  },

  'keeps what replies carry: content, metadata, and who said it, which is the holder where none is told':
    async (h) => {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      const { replies } = await commit(h.storage, await take(h.storage, device), {
        ...commitOf(),
        replies: [
          { content: '', metadata: { buttons: ['a', null] }, agent: 'manager' },
          { content: 'b', metadata: {}, agent: null },
        ],
        lock: { do: 'set', agent: 'scheduling', ttl: 60 },
      });
      expect(replies).toMatchObject([
        { role: 'assistant', content: '', metadata: { buttons: ['a', null] }, agent: 'manager' },
        { role: 'assistant', content: 'b', metadata: {}, agent: 'billing' },
      ]);
      const { history } = await take(h.storage, device);
      expect(history.slice(1).map(({ id, content, agent }) => [id, content, agent])).toEqual(
        replies.map(({ id, content, agent }) => [id, content, agent]),
      );
    },

  'without a reply answers all the same': async (h) => {
    const device = newDevice();
    const result = await commit(h.storage, await take(h.storage, device), commitOf());
    expect(result).toMatchObject({ replies: [], turn: null, answered: [{}] });
    expect(await h.messages(device)).toMatchObject([{ status: 'answered', seq: 1 }]);
  },

  'keeps the turn, under a larger fence, when more came in meanwhile': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.accept([message(device, { content: 'more' })], terms());
    const kept = (await commit(h.storage, turn, commitOf('a'))).turn;
    expect(contentsOf(kept)).toEqual(['more']);
    expect(kept?.history.map(({ content }) => content)).toEqual(['hello', 'a']);
    expect(Number(kept?.fence)).toBeGreaterThan(Number(turn.fence));
    expect(
      (await h.storage.commit(device, turn.fence, 'builtin', commitOf('late'), 1)).outcome,
    ).toBe('lost');
    expect(await retake(h, device)).toBeUndefined();
  },

  'sent twice writes once and returns the same continuation; with other content it is refused':
    async (h) => {
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
    },

  'sent again with its keys in another order is the same': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const content = (metadata: { [key: string]: number }): Commit => ({
      ...commitOf(),
      replies: [{ content: 'a', metadata, agent: null }],
      statePatch: metadata,
    });
    await commit(h.storage, turn, content({ a: 1, b: 2 }));
    const again = await commit(h.storage, turn, content({ b: 2, a: 1 }));
    expect(again.replies).toHaveLength(1);
    expect(await h.messages(device)).toHaveLength(2);
  },

  'sent again after its replies went out says so, and takes what has come in since': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const { replies } = await commit(h.storage, turn, toSend('a'));
    const sent = replies.map(({ id }) => ({ id, status: 'sent' as const }));
    await h.storage.settle(device, turn.fence, sent, 60_000);
    await h.storage.accept([message(device, { content: 'next' })], terms({ maxTurns: 0 }));
    const again = await commit(h.storage, turn, toSend('a'));
    expect(again).toMatchObject({ deliver: false, replies: [{ content: 'a' }] });
    expect(contentsOf(again.turn)).toEqual(['next']);
  },

  'writes nothing with a fence that is not the newest': async (h) => {
    const device = newDevice();
    const late = await take(h.storage, device);
    await h.shift(device, { turn: 0 });
    const current = await retake(h, device);
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
  },

  'writes nothing with a fence of another device, or of none': async (h) => {
    const [one, other] = [newDevice(), newDevice()];
    const { fence } = await take(h.storage, one);
    await take(h.storage, other);
    for (const device of [other, newDevice()]) {
      const result = await h.storage.commit(device, fence, 'builtin', commitOf('x'), 60_000);
      expect(result.outcome).toBe('lost');
      expect(await h.storage.fail(device, fence, 'x')).toBeNull();
      expect(await h.storage.settle(device, fence, [], 60_000)).toBeNull();
    }
    expect((await h.messages(other)).map(({ status }) => status)).toEqual(['waiting']);
  },

  'still counts after its lease ran out, as long as nobody has taken the turn': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.shift(device, { turn: -1_000 });
    expect((await commit(h.storage, turn, commitOf('just in time'))).outcome).toBe('committed');
  },

  'answers nothing where the turn was to send replies': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await commit(h.storage, turn, toSend('a'));
    await h.shift(device, { turn: 0 });
    await recoverFor(h, device);
    await h.shift(device, { unsettled: 0 });
    const sending = await recoverFor(h, device);
    if (sending === undefined) throw new Error('nothing was due');
    expect(
      (await h.storage.commit(device, sending.fence, 'builtin', commitOf('x'), 60_000)).outcome,
    ).toBe('lost');
    expect(await h.storage.giveBack(device, sending.fence, 'builtin')).toBe(false);
    expect(await h.storage.fail(device, sending.fence, 'x')).toBeNull();
  },

  'leaves messages that came in after the grant to the next turn': async (h) => {
    const device = newDevice();
    const { now } = await h.storage.ping();
    const turn = await take(h.storage, device, { content: 'handed' });
    await h.storage.accept(
      [message(device, { content: 'older, but late', sentAt: new Date(now.getTime() - 60_000) })],
      terms(),
    );
    const { turn: kept, answered } = await commit(h.storage, turn, commitOf('x'));
    expect(answered.map(({ id }) => id)).toEqual(turn.messages.map(({ id }) => id));
    expect(contentsOf(kept)).toEqual(['older, but late']);
  },
} satisfies Cases;
