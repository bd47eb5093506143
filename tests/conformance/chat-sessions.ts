import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { commit, commitOf, message, newDevice, terms } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import {
  anybody,
  begin,
  lifeOf,
  operator,
  patch,
  read,
  refusalOf,
  takeIn,
  talk,
  toSession,
} from './chat.ts';

/** Chat sessions as their callers begin, read, change and complete them. */
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
    const list = Array.from({ length: 200 }, () => 1);
    const most = JSON.stringify({ list }).length;
    const full = await patch(h, id, { text: null, list }, { most });
    expect(full).toMatchObject({ outcome: 'patched', session: { metadata: { list } } });
    const over = await patch(h, id, { list: [...list, 1] }, { most });
    expect(over).toMatchObject({ outcome: 'too_large' });
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
} satisfies Cases;
