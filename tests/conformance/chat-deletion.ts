import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { drain } from '../support/drain.ts';
import { commit, commitOf, message, newDevice, terms, time } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { anybody, begin, operator, read, takeIn, talk, toSession } from './chat.ts';
import { contentsOf, retake, sentBy, toSend } from './ways.ts';

/** Chat sessions that are deleted, also under a worker. */
export const chatDeletionCases = {
  'deleted is gone with its messages, and the second time unknown': async (h) => {
    const user = randomUUID();
    const { id, device } = await begin(h, { user, metadata: { private: 1 } });
    await talk(h, id, 'private', 'as well');
    await h.storage.accept([toSession(id, { content: 'waits' })], terms({ maxTurns: 0 }));
    expect((await h.storage.deleteSession(id, anybody)).deleted).toBe(true);
    expect((await h.storage.deleteSession(id, operator)).deleted).toBe(false);
    expect(await read(h, id, operator)).toBeNull();
    expect((await h.storage.readHistory(id, operator, null, 10)).history).toBeNull();
    expect(await h.storage.accept([toSession(id)], terms())).toEqual([]);
    for (const row of await h.messages(device)) {
      expect(row).toMatchObject({ content: '', status: 'erased', seq: null, externalId: null });
    }
    expect(await retake(h, device)).toBeUndefined();
    const [accepted] = await h.storage.accept([message(device)], terms());
    expect(accepted?.turn).toMatchObject({ history: [] });
  },

  'deleted leaves the other sessions of its device, and the order of what comes after': async (
    h,
  ) => {
    const device = newDevice();
    const [one, two] = [await begin(h, { device }), await begin(h, { device })];
    await talk(h, one.id, 'a', 'b');
    await talk(h, two.id, 'c', 'd');
    await h.storage.deleteSession(one.id, anybody);
    await talk(h, two.id, 'e', 'f');
    const rows = (await h.messages(device)).filter(({ status }) => status !== 'erased');
    expect(rows.map(({ seq, content }) => [seq, content])).toEqual([
      [3, 'c'],
      [4, 'd'],
      [5, 'e'],
      [6, 'f'],
    ]);
  },

  'deleted is still known by a redelivery for eight days, wherever it comes from': (_, open) =>
    on(open({ retentionDays: 0 }), async (h) => {
      const device = newDevice();
      const once = message(device, { externalId: 'm1' });
      const [accepted] = await h.storage.accept([once], terms());
      if (accepted?.turn == null) throw new Error('the turn was not free');
      await commit(h.storage, accepted.turn, commitOf('a'));
      await h.storage.deleteSession(accepted.turn.sessionId, anybody);
      await h.age(device, 8 * time.day - 60_000);
      await drain(h);
      expect(await h.storage.accept([once], terms())).toMatchObject([
        { turn: null, messages: [{ duplicate: true, status: 'erased' }] },
      ]);
      await h.age(device, 60_000);
      expect(await drain(h)).toMatchObject({ purgedMessages: 1 });
      expect(await h.storage.accept([once], terms())).toMatchObject([
        { messages: [{ duplicate: false }] },
      ]);
    }),

  'deleted takes the turn from a worker at its answer: nothing of it comes back': async (h) => {
    const device = newDevice();
    const { id } = await begin(h, { device });
    const turn = await takeIn(h, id, { content: 'private' });
    await h.storage.deleteSession(id, anybody);
    expect(await h.storage.extend(device, turn.fence, 'builtin', 60_000)).toBeNull();
    const late = {
      ...commitOf('as you said: private'),
      statePatch: { said: 'private' },
      lock: { do: 'set' as const, agent: 'billing', ttl: 60 },
    };
    const { outcome } = await h.storage.commit(device, turn.fence, 'builtin', late, 60_000);
    expect(outcome).toBe('lost');
    expect(await h.storage.fail(device, turn.fence, 'Error')).toBeNull();
    expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(false);
    expect((await h.messages(device)).map(({ content }) => content)).toEqual(['']);
    expect((await h.storage.getState(device)).state).toEqual({});
    expect((await h.storage.getLock(device)).lock).toBeNull();
  },

  'deleted does so also where the lease ran out, and leaves what waits in another session to others':
    async (h) => {
      const device = newDevice();
      const [one, two] = [await begin(h, { device }), await begin(h, { device })];
      const turn = await takeIn(h, one.id);
      await h.storage.accept([toSession(two.id, { content: 'other' })], terms());
      await h.shift(device, { turn: 0 });
      await h.storage.deleteSession(one.id, anybody);
      const late = await h.storage.commit(device, turn.fence, 'builtin', commitOf('x'), 60_000);
      expect(late.outcome).toBe('lost');
      expect(contentsOf(await retake(h, device))).toEqual(['other']);
    },

  'deleted leaves the turn of another session to its worker': async (h) => {
    const device = newDevice();
    const [one, two] = [await begin(h, { device }), await begin(h, { device })];
    const turn = await takeIn(h, two.id, { content: 'other' });
    await h.storage.accept([toSession(one.id)], terms());
    await h.storage.deleteSession(one.id, anybody);
    const committed = await commit(h.storage, turn, commitOf('answer'));
    expect(committed.replies).toHaveLength(1);
    expect(committed.turn).toBeNull();
  },

  'deleted while its replies are being sent: they are gone, and the worker settles': async (h) => {
    const device = newDevice();
    const { id } = await begin(h, { device });
    const turn = await takeIn(h, id);
    const { replies } = await commit(h.storage, turn, toSend('a', 'b'));
    await h.storage.deleteSession(id, anybody);
    expect(await sentBy(h, device)).toEqual([]);
    const deliveries = replies.map((reply) => ({ id: reply.id, status: 'sent' as const }));
    const settled = await h.storage.settle(device, turn.fence, deliveries, 60_000);
    expect(settled).toMatchObject({ turn: null });
    expect((await h.messages(device)).map(({ content }) => content)).toEqual(['']);
  },

  'deleted and committed at once is either, and in the end nothing is left': async (h) => {
    for (let i = 0; i < 20; i++) {
      const device = newDevice();
      const { id } = await begin(h, { device });
      const turn = await takeIn(h, id, { content: 'private' });
      const [{ deleted }] = await Promise.all([
        h.storage.deleteSession(id, anybody),
        h.storage.commit(device, turn.fence, 'builtin', commitOf('private too'), 60_000),
        h.storage.accept([toSession(id, { content: 'private as well' })], terms()),
      ]);
      expect(deleted).toBe(true);
      for (const { content, status } of await h.messages(device)) {
        expect([content, status]).toEqual(['', 'erased']);
      }
      expect(await h.sessions(device)).toEqual([]);
    }
  },
} satisfies Cases;
