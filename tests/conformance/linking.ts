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
  take,
  terms,
  time,
} from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { linked, offer, redeem } from './links.ts';
import { contentsOf } from './ways.ts';

const begin = async ({ storage }: Harness, device: DeviceId) => {
  const given = { id: randomUUID(), user: null, channel: 'chat', metadata: {}, ttlSeconds: null };
  const { session } = await storage.createSession({ ...given, device }, { living: 0, hourly: 0 });
  if (session === null) throw new Error('no session was begun');
  return session;
};

const unguarded = { kind: 'none' } as const;

/** Devices that share one conversation. */
export const linkingCases = {
  'share lock, state and what is stored about them, whoever writes': async (h) => {
    const { host, guest } = await linked(h);
    await h.storage.setLock(guest, { agent: 'billing', ttlSeconds: 60 }, unguarded);
    expect((await h.storage.getLock(host)).lock?.agent).toBe('billing');
    await h.storage.putState(host, { a: 1 }, unguarded);
    await h.storage.patchState(guest, { b: 2 }, unguarded);
    expect((await h.storage.getState(guest)).state).toEqual({ a: 1, b: 2 });
    expect((await h.storage.getState(host)).state).toEqual({ a: 1, b: 2 });
    expect((await h.storage.readDevice(guest, null, 10))?.record).toEqual(
      (await h.storage.readDevice(host, null, 10))?.record,
    );
    await h.storage.clearState(guest, unguarded);
    await h.storage.clearLock(guest, unguarded);
    expect((await h.storage.getState(host)).version).toBeNull();
    expect((await h.storage.getLock(host)).lock).toBeNull();
  },

  'share one turn and one history: while one is answered, the other waits': async (h) => {
    const { host, guest } = await linked(h);
    const first = await take(h.storage, host, { content: 'from the host' });
    const [second] = await h.storage.accept(
      [message(guest, { content: 'from the guest' })],
      terms(),
    );
    expect(second).toMatchObject({ device: host, turn: null, waiting: true });
    const { turn } = await commit(h.storage, first, commitOf('to the host'));
    expect(contentsOf(turn)).toEqual(['from the guest']);
    expect(turn?.history.map(({ content }) => content)).toEqual(['from the host', 'to the host']);
  },

  'share a person who has taken over': async (h) => {
    const { host, guest } = await linked(h);
    await h.storage.setLock(host, { agent: 'human', ttlSeconds: 60 }, unguarded);
    const [accepted] = await h.storage.accept([message(guest)], terms());
    expect(accepted).toMatchObject({ turn: null, messages: [{ status: 'recorded' }] });
  },

  'share chat sessions: begun by one, they are read, changed and deleted by the other': async (
    h,
  ) => {
    const { host, guest } = await linked(h);
    const session = await begin(h, guest);
    expect(session.device).toBe(host);
    const reach = (owner: DeviceId) => ({ owner, includeExpired: false });
    for (const owner of [host, guest]) {
      expect((await h.storage.readSession(session.id, reach(owner))).session?.id).toBe(session.id);
      expect((await h.storage.readHistory(session.id, reach(owner), null, 1)).history?.total).toBe(
        0,
      );
      const scope = { user: null, device: owner, active: null, includeExpired: false };
      expect((await h.storage.listSessions(scope, null, 10)).total).toBe(1);
      const sender = { session: session.id, owner };
      const [accepted] = await h.storage.accept([message(owner, { sender })], terms());
      expect(accepted?.device).toBe(host);
    }
    const patch = { metadata: { a: 1 }, complete: false };
    expect((await h.storage.patchSession(session.id, guest, patch, 1_000)).outcome).toBe('patched');
    expect((await h.storage.deleteSession(session.id, reach(guest))).deleted).toBe(true);
  },

  'leave every third device out': async (h) => {
    const { host } = await linked(h);
    const third = newDevice();
    const session = await begin(h, host);
    await h.storage.putState(host, { a: 1 }, unguarded);
    const reach = { owner: third, includeExpired: false };
    expect((await h.storage.readSession(session.id, reach)).session).toBeNull();
    expect((await h.storage.getState(third)).state).toEqual({});
  },

  'a turn of the external lane is polled, renewed, answered and given back by either': async (
    h,
  ) => {
    const { host, guest } = await linked(h);
    const external = terms({ lane: 'external' });
    await h.storage.accept(
      [message(host, { channel: 'api' })],
      terms({ lane: 'external', maxTurns: 0 }),
    );
    const [turn] = (await h.storage.next([guest], external)).turns;
    if (turn === undefined) throw new Error('there was no turn');
    expect(await h.storage.extend(guest, turn.fence, 'external', 60_000)).not.toBeNull();
    expect(await h.storage.giveBack(guest, turn.fence, 'external')).toBe(true);
    const again = (await h.storage.next([host], terms({ lane: 'external' }))).turns[0];
    if (again === undefined) throw new Error('there was no turn');
    const content = commitOf('answer');
    for (const device of [guest, host]) {
      const told = await h.storage.commit(device, again.fence, 'external', content, 60_000);
      expect(told.outcome).toBe('committed');
    }
  },

  'a turn that runs when its device is linked is answered where it was taken': async (h) => {
    const [host, guest] = [newDevice(), newDevice()];
    const builtin = await take(h.storage, guest, { content: 'before' });
    expect(await redeem(h, guest, await offer(h, host))).toBe('linked');
    await commit(h.storage, builtin, commitOf('answer'));
    expect((await h.messages(guest)).map(({ status }) => status)).toEqual(['answered', 'sent']);
  },

  'a turn of the external lane that runs then is renewed and answered, and what waits is polled':
    async (h) => {
      const [host, guest] = [newDevice(), newDevice()];
      const turn = await take(h.storage, guest, { channel: 'api' }, 'external');
      await h.storage.accept(
        [message(guest, { channel: 'api', content: 'behind it' })],
        terms({ lane: 'external' }),
      );
      expect(await redeem(h, guest, await offer(h, host))).toBe('linked');
      expect(await h.storage.extend(guest, turn.fence, 'external', 60_000)).not.toBeNull();
      const told = await h.storage.commit(guest, turn.fence, 'external', commitOf('a'), 60_000);
      if (told.outcome !== 'committed' || told.turn === null) throw new Error('the turn was lost');
      expect(contentsOf(told.turn)).toEqual(['behind it']);
      await h.storage.giveBack(guest, told.turn.fence, 'external');
      const [polled] = (await h.storage.next([guest], terms({ lane: 'external' }))).turns;
      expect(contentsOf(polled)).toEqual(['behind it']);
    },

  'what a device had of its own is out of sight, and is back once it is unlinked': async (h) => {
    const [host, guest] = [newDevice(), newDevice()];
    await h.storage.putState(guest, { own: 1 }, unguarded);
    await commit(h.storage, await take(h.storage, guest), commitOf('own'));
    expect(await redeem(h, guest, await offer(h, host))).toBe('linked');
    expect((await h.storage.getState(guest)).state).toEqual({});
    await h.storage.putState(guest, { shared: 1 }, unguarded);
    expect((await h.storage.unlink(guest)).unlinked).toBe(1);
    expect((await h.storage.getState(guest)).state).toEqual({ own: 1 });
    expect((await h.storage.getState(host)).state).toEqual({ shared: 1 });
    const turn = await take(h.storage, guest, { content: 'again' });
    expect(turn.history.map(({ content }) => content)).toEqual(['hello', 'own']);
  },

  'a message sent again across a link or its end is the same message': async (h) => {
    const [host, guest] = [newDevice(), newDevice()];
    const before = message(guest);
    await h.storage.accept([before], terms());
    expect(await redeem(h, guest, await offer(h, host))).toBe('linked');
    const during = message(guest);
    await h.storage.accept([during], terms());
    const again = async () =>
      (await h.storage.accept([before, during], terms())).flatMap(({ messages }) =>
        messages.map(({ duplicate }) => duplicate),
      );
    expect(await again()).toEqual([true, true]);
    await h.storage.unlink(guest);
    expect(await again()).toEqual([true, true]);
  },

  'of one that is unlinked by the other end, all are': async (h) => {
    const { host, guest } = await linked(h);
    const other = newDevice();
    expect(await redeem(h, other, await offer(h, host))).toBe('linked');
    await h.storage.putState(host, { a: 1 }, unguarded);
    expect((await h.storage.unlink(host)).unlinked).toBe(2);
    for (const device of [guest, other])
      expect((await h.storage.getState(device)).state).toEqual({});
    expect((await h.storage.unlink(host)).unlinked).toBe(0);
  },

  'follow when the one they joined joins another, and bring nobody into a circle': async (h) => {
    const { host, guest } = await linked(h);
    const third = newDevice();
    await h.storage.putState(third, { third: 1 }, unguarded);
    expect(await redeem(h, host, await offer(h, third))).toBe('linked');
    for (const device of [host, guest, third])
      expect((await h.storage.getState(device)).state).toEqual({ third: 1 });
    // a code of any of them is the third one's
    expect(await redeem(h, third, await offer(h, guest))).toBe('own');
    expect((await h.storage.unlink(host)).unlinked).toBe(1);
    expect((await h.storage.getState(guest)).state).toEqual({ third: 1 });
  },

  'a person of a channel shares as well, and keeps its own address': async (h) => {
    const account = randomUUID();
    const said = () =>
      message(newDevice(), {
        sender: { phone: '15550009', userId: null },
        channel: 'whatsapp',
        account,
      });
    const [first] = await h.storage.accept([said()], terms());
    if (first?.turn == null) throw new Error('the turn was not free');
    await commit(h.storage, first.turn, commitOf('a'));
    const host = newDevice();
    expect(await redeem(h, first.device, await offer(h, host))).toBe('linked');
    const [second] = await h.storage.accept([said()], terms());
    expect(second).toMatchObject({ device: host, turn: { address: { phone: '15550009' } } });
  },

  'are not parted by the clean-up, however long nothing was said': (_, open) =>
    on(open({ retentionDays: 1 }), async (h) => {
      const { host, guest } = await linked(h);
      await h.age(host, 40 * time.day);
      await drain(h);
      await h.storage.putState(host, { a: 1 }, unguarded);
      expect((await h.storage.getState(guest)).state).toEqual({ a: 1 });
    }),

  'end with the conversation: erased by either, it is gone for both, and they are two': async (
    h,
  ) => {
    for (const eraser of ['host', 'guest'] as const) {
      const pair = await linked(h);
      await h.storage.putState(pair.host, { a: 1 }, unguarded);
      const { receipt } = await h.storage.eraseDevice(pair[eraser]);
      expect(receipt.identities).toBe(1);
      expect((await h.storage.getState(pair.host)).state).toEqual({});
      await h.storage.putState(pair.host, { afresh: 1 }, unguarded);
      expect((await h.storage.getState(pair.guest)).state).toEqual({});
    }
  },

  'a guest that erases takes what it had of its own along': async (h) => {
    const [host, guest] = [newDevice(), newDevice()];
    await h.storage.putState(guest, { own: 1 }, unguarded);
    expect(await redeem(h, guest, await offer(h, host))).toBe('linked');
    await h.storage.eraseDevice(guest);
    expect((await h.storage.getState(guest)).state).toEqual({});
    expect(await h.storage.readDevice(guest, null, 10)).toBeNull();
  },

  'messages that come while devices are linked and unlinked are each answered once': async (h) => {
    const [host, guest] = [newDevice(), newDevice()];
    const said = Array.from({ length: 20 }, (_, i) => message(guest, { content: String(i) }));
    const devices = new Set<DeviceId>([host, guest]);
    const answered: string[] = [];
    await Promise.all([
      ...said.map(async (one) => {
        const [accepted] = await h.storage.accept([one], terms());
        for (let turn = accepted?.turn ?? null; turn !== null;) {
          answered.push(...(contentsOf(turn) ?? []));
          turn = (await commit(h.storage, turn, commitOf('a'))).turn;
        }
      }),
      (async () => {
        for (let i = 0; i < 4; i++) {
          await redeem(h, guest, await offer(h, host));
          await h.storage.unlink(guest);
        }
      })(),
    ]);
    for (const device of devices) {
      let [turn] = (await h.storage.next([device], terms())).turns;
      while (turn !== undefined) {
        answered.push(...(contentsOf(turn) ?? []));
        turn = (await commit(h.storage, turn, commitOf('a'))).turn ?? undefined;
      }
    }
    expect(answered.toSorted()).toEqual(said.map(({ content }) => content).toSorted());
  },
} satisfies Cases;
