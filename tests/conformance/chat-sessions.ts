import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { JsonObject } from '../../lib/json.ts';
import type { ChatSession, DeviceId, NewSession, Reach, Turn } from '../../lib/storage/storage.ts';
import { commit, commitOf, type Harness, message, newDevice, terms } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { contentsOf, drain, retake, sentBy, toSend } from './ways.ts';

const anybody: Reach = { owner: null, includeExpired: false };
const operator: Reach = { owner: null, includeExpired: true };
const uncapped = { living: 0, hourly: 0 };
const day = 86_400_000;

/** Begins a session, on a device of its own if none is named. */
export async function begin(
  { storage }: Harness,
  some: Partial<NewSession> = {},
): Promise<ChatSession> {
  const { session } = await storage.createSession(
    {
      id: randomUUID(),
      device: newDevice(),
      user: null,
      channel: 'chat',
      metadata: {},
      ttlSeconds: null,
      ...some,
    },
    uncapped,
  );
  if (session === null) throw new Error('the session was refused');
  return session;
}

/** A message to a session. */
export const toSession = (id: string, some: Partial<Parameters<typeof message>[1]> = {}) =>
  message(newDevice(), { sender: { session: id }, channel: 'chat', account: id, ...some });

/** Says something in a session and takes the turn. */
export async function takeIn(
  { storage }: Harness,
  id: string,
  some: Parameters<typeof toSession>[1] = {},
): Promise<Turn> {
  const [accepted] = await storage.accept([toSession(id, some)], terms());
  if (accepted?.turn == null) throw new Error('the turn was not free');
  return accepted.turn;
}

/** A question and its answer. */
export async function talk(
  h: Harness,
  id: string,
  content: string,
  ...replies: string[]
): Promise<Turn> {
  const turn = await takeIn(h, id, { content });
  await commit(h.storage, turn, commitOf(...replies));
  return turn;
}

const read = async ({ storage }: Harness, id: string, reach = anybody) =>
  (await storage.readSession(id, reach)).session;
const patch = (
  { storage }: Harness,
  id: string,
  metadata: JsonObject,
  { complete = false, owner = null as DeviceId | null, most = 1_048_576 } = {},
) => storage.patchSession(id, owner, { metadata, complete }, most);
const refusalOf = async ({ storage }: Harness, id: string, some = {}) =>
  (await storage.accept([toSession(id, some)], terms()))[0]?.refused[0]?.reason;
const lifeOf = ({ lastActivity, expiresAt }: ChatSession) =>
  expiresAt.getTime() - lastActivity.getTime();

/** Chat sessions as their callers begin, change and delete them. */
export const chatSessionCases = {
  'begins with what it was given, and is read as it was begun': async (h) => {
    const given = { device: newDevice(), user: 'ann', metadata: { title: 'Parcel' } };
    const begun = await begin(h, given);
    expect(begun).toMatchObject({ ...given, channel: 'chat', complete: false, messageCount: 0 });
    expect(begun.lastActivity).toEqual(begun.createdAt);
    expect(lifeOf(begun)).toBe(3_600_000);
    expect(await read(h, begun.id)).toEqual(begun);
  },

  'lives as long as it says itself, after each message anew': async (h) => {
    const { id, device } = await begin(h, { ttlSeconds: 7_200 });
    await h.age(device, 7_100_000);
    await talk(h, id, 'still there?', 'yes');
    const session = await read(h, id);
    expect(session && lifeOf(session)).toBe(7_200_000);
    await h.age(device, 7_200_000);
    expect(await read(h, id)).toBeNull();
  },

  'begun becomes the one its device speaks in; the one before goes on beside it': async (h) => {
    const device = newDevice();
    const first = await begin(h, { device });
    const second = await begin(h, { device });
    const [accepted] = await h.storage.accept([message(device)], terms());
    expect(accepted?.turn?.sessionId).toBe(second.id);
    expect(await read(h, first.id)).toEqual(first);
    expect(await h.sessions(device)).toHaveLength(2);
  },

  'begun twice by one call is one session': async (h) => {
    const once = { id: randomUUID(), device: newDevice(), user: 'ann' };
    const first = await begin(h, once);
    await begin(h, { device: once.device });
    expect(await begin(h, { ...once, metadata: { other: true } })).toEqual(first);
    expect(await h.sessions(once.device)).toHaveLength(2);
  },

  'leaves the lock, the state and the turn of its device alone': async (h) => {
    const device = newDevice();
    await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 600 }, { kind: 'none' });
    await h.storage.putState(device, { a: 1 }, { kind: 'none' });
    const lock = await h.storage.getLock(device);
    const turn = await takeIn(h, (await begin(h, { device })).id);
    await begin(h, { device });
    expect((await h.storage.getLock(device)).lock).toEqual(lock.lock);
    expect((await h.storage.getState(device)).state).toEqual({ a: 1 });
    expect((await commit(h.storage, turn, commitOf('a'))).outcome).toBe('committed');
  },

  'is refused to a user who has as many alive as may be, until one ends': async (h) => {
    const user = randomUUID();
    const caps = { living: 2, hourly: 0 };
    const create = (device = newDevice()) =>
      h.storage.createSession(
        { id: randomUUID(), device, user, channel: 'chat', metadata: {}, ttlSeconds: null },
        caps,
      );
    const first = (await create()).session;
    await create();
    const refused = newDevice();
    expect((await create(refused)).session).toBeNull();
    expect(await h.sessions(refused)).toEqual([]);
    if (first !== null) await h.storage.deleteSession(first.id, anybody);
    expect((await create()).session).not.toBeNull();
    expect((await create()).session).toBeNull();
  },

  'is refused to a user who has begun as many within the hour, also where they have ended': async (
    h,
  ) => {
    const user = randomUUID();
    const device = newDevice();
    const create = () =>
      h.storage.createSession(
        { id: randomUUID(), device, user, channel: 'chat', metadata: {}, ttlSeconds: 1 },
        { living: 0, hourly: 2 },
      );
    await create();
    await create();
    await h.age(device, 3_500_000);
    expect((await create()).session).toBeNull();
    await h.age(device, 100_000);
    expect((await create()).session).not.toBeNull();
  },

  'where no user is named the device counts; one that is new has none': async (h) => {
    const device = newDevice();
    const create = (id: DeviceId) =>
      h.storage.createSession(
        {
          id: randomUUID(),
          device: id,
          user: null,
          channel: 'chat',
          metadata: {},
          ttlSeconds: null,
        },
        { living: 1, hourly: 0 },
      );
    expect((await create(device)).session).not.toBeNull();
    expect((await create(device)).session).toBeNull();
    expect((await create(newDevice())).session).not.toBeNull();
  },

  'of fifty begun at once exactly as many as may be are': async (h) => {
    const user = randomUUID();
    const begun = await Promise.all(
      Array.from({ length: 50 }, () =>
        h.storage.createSession(
          {
            id: randomUUID(),
            device: newDevice(),
            user,
            channel: 'chat',
            metadata: {},
            ttlSeconds: null,
          },
          { living: 7, hourly: 0 },
        ),
      ),
    );
    expect(begun.filter(({ session }) => session !== null)).toHaveLength(7);
  },

  'is absent to everybody from the moment it is over, and read by who asks for expired ones':
    async (h) => {
      const { id, device } = await begin(h, { user: randomUUID() });
      await talk(h, id, 'hello', 'hi');
      await h.age(device, 3_500_000);
      expect(await read(h, id)).not.toBeNull();
      await h.age(device, 100_000);
      expect(await read(h, id)).toBeNull();
      expect(await refusalOf(h, id)).toBe('session_not_found');
      expect(await patch(h, id, {})).toMatchObject({ outcome: 'not_found' });
      expect((await h.storage.deleteSession(id, anybody)).deleted).toBe(false);
      expect((await h.storage.readHistory(id, anybody, null, 10)).history).toBeNull();
      expect(await read(h, id, operator)).toMatchObject({ id, messageCount: 2 });
      expect((await h.storage.readHistory(id, operator, null, 10)).history?.total).toBe(2);
    },

  'out of reach is absent: of another device, and never begun': async (h) => {
    const { id } = await begin(h);
    await talk(h, id, 'hello', 'hi');
    for (const [session, owner] of [
      [id, newDevice()],
      [randomUUID(), null],
    ] as const) {
      const reach = { owner, includeExpired: true };
      expect(await read(h, session, reach)).toBeNull();
      expect(await patch(h, session, { a: 1 }, { owner })).toMatchObject({ outcome: 'not_found' });
      expect((await h.storage.deleteSession(session, reach)).deleted).toBe(false);
      expect((await h.storage.readHistory(session, reach, null, 10)).history).toBeNull();
      const said = toSession(session, { sender: { session, owner } });
      expect(await h.storage.accept([said], terms())).toEqual([]);
    }
    expect(await read(h, id)).toMatchObject({ metadata: {}, messageCount: 2 });
  },

  'within reach of its own device': async (h) => {
    const { id, device } = await begin(h);
    const reach = { owner: device, includeExpired: false };
    const said = toSession(id, { sender: { session: id, owner: device } });
    expect(await h.storage.accept([said], terms())).toMatchObject([{ device, refused: [] }]);
    expect(await read(h, id, reach)).not.toBeNull();
    expect(await patch(h, id, { a: 1 }, { owner: device })).toMatchObject({ outcome: 'patched' });
    expect((await h.storage.deleteSession(id, reach)).deleted).toBe(true);
  },

  'takes a merge patch of its metadata, and lives on from there': async (h) => {
    const { id, device } = await begin(h, { metadata: { a: { b: 1, c: 2 }, d: 3 } });
    await h.age(device, 1_800_000);
    const patched = await patch(h, id, { a: { b: null, e: 4 }, d: null, f: [1] });
    if (patched.outcome !== 'patched') throw new Error('the session was not patched');
    expect(patched.session.metadata).toEqual({ a: { c: 2, e: 4 }, f: [1] });
    expect(patched.session.lastActivity).toEqual(patched.now);
    expect(lifeOf(patched.session)).toBe(3_600_000);
    expect(await read(h, id)).toEqual(patched.session);
  },

  'keeps all of fifty patches at once': async (h) => {
    const { id } = await begin(h);
    await Promise.all(Array.from({ length: 50 }, (_, i) => patch(h, id, { [`key${i}`]: i })));
    expect(Object.keys((await read(h, id))?.metadata ?? {})).toHaveLength(50);
  },

  'refuses metadata that would grow too large, and writes nothing': async (h) => {
    const { id } = await begin(h, { metadata: { text: 'x'.repeat(200) } });
    const before = await read(h, id);
    expect(await patch(h, id, { more: 1 }, { most: 100 })).toMatchObject({ outcome: 'too_large' });
    expect(await read(h, id)).toEqual(before);
    expect(await patch(h, id, { text: 'x'.repeat(150) }, { most: 100 })).toMatchObject({
      outcome: 'patched',
    });
  },

  'once completed takes no message, lives the longer time, and is its device’s no more': (
    _,
    open,
  ) =>
    on(open({ sessionTtl: 100, completedTtl: 200 }), async (h) => {
      const { id, device } = await begin(h);
      const done = await patch(h, id, {}, { complete: true });
      if (done.outcome !== 'patched') throw new Error('the session was not patched');
      expect(done.session.complete).toBe(true);
      expect(lifeOf(done.session)).toBe(200_000);
      expect(await refusalOf(h, id)).toBe('session_complete');
      const [accepted] = await h.storage.accept([message(device)], terms());
      expect(accepted?.turn?.sessionId).not.toBe(id);
      expect(await patch(h, id, { late: true })).toMatchObject({
        outcome: 'patched',
        session: { complete: true, metadata: { late: true } },
      });
      await h.age(device, 200_000);
      expect(await read(h, id)).toBeNull();
    }),

  'completed while a turn is at work has its answer all the same': async (h) => {
    const { id } = await begin(h);
    const turn = await takeIn(h, id);
    await patch(h, id, {}, { complete: true });
    expect((await commit(h.storage, turn, commitOf('a'))).replies).toHaveLength(1);
    expect(await read(h, id)).toMatchObject({ complete: true, messageCount: 2 });
  },

  'tells two messages apart that carry the same id in two sessions of a device': async (h) => {
    const device = newDevice();
    const [one, two] = [await begin(h, { device }), await begin(h, { device })];
    const turn = await takeIn(h, one.id, { externalId: '1', content: 'in one' });
    await commit(h.storage, turn, commitOf('to one'));
    const other = await takeIn(h, two.id, { externalId: '1', content: 'in two' });
    expect(contentsOf(other)).toEqual(['in two']);
    await commit(h.storage, other, commitOf('to two'));
    for (const [{ id }, text] of [
      [one, 'one'],
      [two, 'two'],
    ] as const) {
      const answer = await h.storage.readAnswer(device, 'chat', '1', id);
      expect(answer).toMatchObject({
        message: { sessionId: id, content: `in ${text}`, status: 'answered' },
        replies: [{ content: `to ${text}`, answers: ['1'] }],
      });
    }
  },

  'knows a message again while it lives, also complete, and not once it is over': async (h) => {
    const { id, device } = await begin(h);
    const said = toSession(id, { externalId: '1' });
    const [first] = await h.storage.accept([said], terms());
    if (first?.turn == null) throw new Error('the turn was not free');
    await commit(h.storage, first.turn, commitOf('a'));
    await patch(h, id, {}, { complete: true });
    expect(await h.storage.accept([said], terms())).toMatchObject([
      { refused: [], messages: [{ duplicate: true, status: 'answered' }] },
    ]);
    await h.age(device, day);
    expect(await refusalOf(h, id, { externalId: '1' })).toBe('session_not_found');
  },

  'refuses a message where too many of the device wait, and stores those of who does not ask':
    async (h) => {
      const { id, device } = await begin(h);
      const turn = await takeIn(h, id, { maxWaiting: 2 });
      expect(await refusalOf(h, id, { maxWaiting: 2 })).toBeUndefined();
      expect(await refusalOf(h, id, { maxWaiting: 2 })).toBe('rate_limited');
      const other = message(device, { maxWaiting: 2 });
      expect((await h.storage.accept([other], terms()))[0]?.refused).toEqual([
        { index: 0, reason: 'rate_limited' },
      ]);
      const channel = message(device, { channel: 'whatsapp' });
      expect((await h.storage.accept([channel], terms()))[0]?.refused).toEqual([]);
      expect(await h.messages(device)).toHaveLength(3);
      const kept = (await commit(h.storage, turn, commitOf('a'))).turn;
      if (kept === null) throw new Error('the turn was not kept');
      await commit(h.storage, kept, commitOf('b'));
      expect(await refusalOf(h, id, { maxWaiting: 2 })).toBeUndefined();
    },

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
      await h.age(device, 8 * day - 60_000);
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
