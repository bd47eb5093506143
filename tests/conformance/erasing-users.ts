import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { drain } from '../support/drain.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  terms,
  time,
} from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf } from './ways.ts';

const anything = { owner: null, includeExpired: true };

const begin = async ({ storage }: Harness, device: DeviceId, user: string | null) => {
  const given = { channel: 'chat', metadata: {}, ttlSeconds: null };
  const id = randomUUID();
  await storage.createSession({ id, device, user, ...given }, { living: 0, hourly: 0 });
  return id;
};

/** Says something in a session, and has it answered. */
const talk = async ({ storage }: Harness, session: string) => {
  const [accepted] = await storage.accept(
    [message(newDevice(), { sender: { session }, account: session })],
    terms(),
  );
  if (accepted?.turn == null) throw new Error('the turn was not free');
  await commit(storage, accepted.turn, commitOf('answer'));
};

/** An operator erases a user: what they said, and every device that is theirs alone. */
export const userErasingCases = {
  'takes every device of theirs, a few at a time': async (h) => {
    const user = randomUUID();
    const devices = Array.from({ length: 5 }, newDevice);
    for (const device of devices) {
      await talk(h, await begin(h, device, user));
      await h.storage.putState(device, { a: 1 }, { kind: 'none' });
    }
    const sum = { devices: 0, sessions: 0, messages: 0, calls: 0 };
    for (let more = true; more;) {
      const erased = await h.storage.eraseUser(user, 2);
      sum.devices += erased.receipt.devices;
      sum.sessions += erased.receipt.sessions;
      sum.messages += erased.receipt.messages;
      sum.calls++;
      more = erased.more;
    }
    expect(sum).toEqual({ devices: 5, sessions: 5, messages: 10, calls: 3 });
    for (const device of devices) expect(await h.storage.readDevice(device, null, 10)).toBeNull();
    const scope = { user, device: null, active: null, includeExpired: true };
    expect((await h.storage.listSessions(scope, null, 10)).total).toBe(0);
  },

  'on a device of several takes their own sessions, and leaves the others’, lock and state': async (
    h,
  ) => {
    const device = newDevice();
    const [user, other] = [randomUUID(), randomUUID()];
    const own = await begin(h, device, user);
    await talk(h, own);
    const theirs = await begin(h, device, other);
    await talk(h, theirs);
    await h.storage.putState(device, { a: 1 }, { kind: 'none' });
    const { receipt, more } = await h.storage.eraseUser(user, 10);
    expect(receipt).toMatchObject({ devices: 0, shared: 1, sessions: 1, messages: 2 });
    expect(more).toBe(false);
    expect((await h.storage.readSession(own, anything)).session).toBeNull();
    const { history } = await h.storage.readHistory(theirs, anything, null, 10);
    expect(contentsOf(history)).toEqual(['hello', 'answer']);
    expect((await h.storage.getState(device)).state).toEqual({ a: 1 });
  },

  'whose words are being answered on a device of several takes that turn alone': async (h) => {
    const device = newDevice();
    const [user, other] = [randomUUID(), randomUUID()];
    const own = await begin(h, device, user);
    await begin(h, device, other);
    const [accepted] = await h.storage.accept(
      [message(device, { sender: { session: own }, account: own })],
      terms(),
    );
    if (accepted?.turn == null) throw new Error('the turn was not free');
    await h.storage.eraseUser(user, 10);
    const { outcome } = await h.storage.commit(
      device,
      accepted.turn.fence,
      'builtin',
      commitOf('late'),
      60_000,
    );
    expect(outcome).toBe('lost');
  },

  'finds their devices also once their sessions are gone, for as long as anything is kept there':
    async (h) => {
      const [deleted, purged] = [newDevice(), newDevice()];
      const user = randomUUID();
      const session = await begin(h, deleted, user);
      await talk(h, session);
      await talk(h, await begin(h, purged, user));
      for (const device of [deleted, purged]) {
        await h.storage.putState(device, { booking: 'a haircut' }, { kind: 'none' });
        await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      }
      await h.storage.deleteSession(session, anything);
      await h.age(purged, 31 * time.day);
      await drain(h);
      expect((await h.sessions(deleted)).length).toBe(0);

      const { receipt, more } = await h.storage.eraseUser(user, 10);
      expect([receipt.devices, receipt.shared, more]).toEqual([2, 0, false]);
      for (const device of [deleted, purged]) {
        expect((await h.storage.getState(device)).state).toEqual({});
        expect((await h.storage.getLock(device)).lock).toBeNull();
        expect(await h.storage.readDevice(device, null, 10)).toBeNull();
      }
      expect((await h.storage.eraseUser(user, 10)).receipt).toMatchObject({ devices: 0 });
    },

  'finds nothing any more where nothing is kept': async (h) => {
    const device = newDevice();
    const user = randomUUID();
    const session = await begin(h, device, user);
    await talk(h, session);
    await h.storage.deleteSession(session, anything);
    // looked at once in a retention, and not before the keys of what was deleted are gone
    for (let i = 0; i < 3; i++) {
      await h.age(device, 31 * time.day);
      await drain(h);
    }
    expect((await h.storage.eraseUser(user, 10)).receipt).toMatchObject({
      devices: 0,
      identities: 0,
    });
  },

  'is no name of a caller that was refused': async (h) => {
    const user = randomUUID();
    await begin(h, newDevice(), user);
    const refused = newDevice();
    const given = { channel: 'chat', metadata: {}, ttlSeconds: null };
    const asked = { id: randomUUID(), device: refused, user, ...given };
    const { session } = await h.storage.createSession(asked, { living: 1, hourly: 0 });
    expect(session).toBeNull();
    expect((await h.storage.eraseUser(user, 10)).receipt).toMatchObject({
      devices: 1,
      identities: 1,
    });
  },

  'meets their next session on the same device at the same moment: it is whole, or was never':
    async (h) => {
      const device = newDevice();
      const user = randomUUID();
      await begin(h, device, user);
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          i % 4 === 0 ? h.storage.eraseUser(user, 10) : begin(h, device, user),
        ),
      );
      await h.storage.putState(device, { a: 1 }, { kind: 'none' });
      await begin(h, device, user);
      for (const { id } of await h.sessions(device)) await h.storage.deleteSession(id, anything);
      expect((await h.storage.eraseUser(user, 10)).receipt).toMatchObject({ devices: 1 });
      expect((await h.storage.getState(device)).state).toEqual({});
    },
} satisfies Cases;
