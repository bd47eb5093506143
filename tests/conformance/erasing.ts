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
import type { Cases } from './case.ts';
import { retake } from './ways.ts';

/** A device of which there is something everywhere. */
const lived = async ({ storage }: Harness, device: DeviceId) => {
  const turn = await take(storage, device);
  await commit(storage, turn, {
    ...commitOf('answer'),
    state: { secret: 'word' },
    lock: { do: 'set', agent: 'billing', ttl: 60 },
  });
  await storage.setLock(device, { agent: 'scheduling', ttlSeconds: 60 }, { kind: 'none' });
};

const whatsApp = (phone: string, account: string, externalId: string = randomUUID()) =>
  message(newDevice(), {
    sender: { phone, userId: null },
    channel: 'whatsapp',
    account,
    externalId,
  });

/** Nothing stays of what was erased but the keys by which a redelivery is known. */
export const erasingCases = {
  'takes everything of a device, and gives a receipt': async (h) => {
    const device = newDevice();
    await lived(h, device);
    const { receipt } = await h.storage.eraseDevice(device);
    expect(receipt).toEqual({
      devices: 1,
      shared: 0,
      sessions: 1,
      messages: 2,
      holdings: 2,
      identities: 0,
    });
    expect((await h.storage.getLock(device)).lock).toBeNull();
    expect(await h.storage.getState(device)).toMatchObject({ state: {}, version: null });
    expect(await h.storage.readDevice(device, null, 10)).toBeNull();
    expect(await h.sessions(device)).toEqual([]);
    expect(await h.events(device)).toEqual([]);
    expect((await h.messages(device)).map(({ content, status }) => [content, status])).toEqual([
      ['', 'erased'],
    ]);
  },

  'of a device nobody has seen, or twice, is nothing': async (h) => {
    const device = newDevice();
    const nothing = { devices: 0, sessions: 0, messages: 0, holdings: 0, identities: 0 };
    expect((await h.storage.eraseDevice(device)).receipt).toMatchObject(nothing);
    await lived(h, device);
    await h.storage.eraseDevice(device);
    expect((await h.storage.eraseDevice(device)).receipt).toMatchObject({
      ...nothing,
      devices: 1,
    });
  },

  'leaves every other device alone': async (h) => {
    const [one, other] = [newDevice(), newDevice()];
    await lived(h, one);
    await lived(h, other);
    const before = await h.messages(other);
    await h.storage.eraseDevice(one);
    expect(await h.messages(other)).toEqual(before);
    expect((await h.storage.getState(other)).state).toEqual({ secret: 'word' });
    expect((await h.storage.getLock(other)).lock?.agent).toBe('scheduling');
  },

  'a late redelivery is known, brings no word back and starts no turn': async (h) => {
    const device = newDevice();
    const said = message(device, { content: 'words' });
    await h.storage.accept([said], terms());
    await h.storage.eraseDevice(device);
    const [again] = await h.storage.accept([said], terms());
    expect(again).toMatchObject({ turn: null, waiting: false });
    expect(again?.messages).toMatchObject([{ duplicate: true, status: 'erased' }]);
    expect((await h.messages(device)).map(({ content }) => content)).toEqual(['']);
    expect(await h.storage.readDevice(device, null, 10)).toBeNull();
  },

  'a late redelivery brings no phone number back either': async (h) => {
    const account = randomUUID();
    const said = whatsApp('15550001', account);
    const [first] = await h.storage.accept([said], terms());
    if (first === undefined) throw new Error('nothing was accepted');
    expect((await h.storage.eraseDevice(first.device)).receipt.identities).toBe(1);
    const [again] = await h.storage.accept([said], terms());
    expect(again).toMatchObject({ device: first.device, messages: [{ status: 'erased' }] });
    expect((await h.storage.eraseDevice(first.device)).receipt.identities).toBe(0);
  },

  'keys stay for eight days, whatever became of their session, and then go with the clean-up':
    async (h) => {
      const device = newDevice();
      await h.storage.accept([message(device)], terms());
      await h.storage.eraseDevice(device);
      await h.age(device, 8 * time.day - time.minute);
      await drain(h);
      expect(await h.messages(device)).toHaveLength(1);
      await h.age(device, time.minute);
      await drain(h);
      expect(await h.messages(device)).toEqual([]);
    },

  'whoever writes again begins afresh: no history, no state, no holder, the first place': async (
    h,
  ) => {
    const account = randomUUID();
    const [first] = await h.storage.accept([whatsApp('15550002', account)], terms());
    if (first?.turn == null) throw new Error('the turn was not free');
    await commit(h.storage, first.turn, { ...commitOf('a'), state: { a: 1 } });
    await h.storage.eraseDevice(first.device);
    const [second] = await h.storage.accept([whatsApp('15550002', account)], terms());
    expect(second?.turn).toMatchObject({ state: {}, lock: null, history: [] });
    if (second?.turn == null) throw new Error('the turn was not free');
    expect(second.turn.sessionId).not.toBe(first.turn.sessionId);
    await commit(h.storage, second.turn, commitOf('b'));
    const places = (await h.messages(second.device)).map(({ seq }) => seq);
    expect(places.filter((seq) => seq !== null)).toEqual([1, 2]);
  },

  'a worker that is at its answer loses the turn, and its fence is never drawn again': async (
    h,
  ) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.eraseDevice(device);
    const content = { ...commitOf('late'), state: { late: 1 } };
    const late = await h.storage.commit(device, turn.fence, 'builtin', content, 60_000);
    expect(late.outcome).toBe('lost');
    expect(await h.storage.extend(device, turn.fence, 'builtin', 60_000)).toBeNull();
    expect(await h.storage.giveBack(device, turn.fence, 'builtin')).toBe(false);
    expect((await h.storage.getState(device)).state).toEqual({});
    const next = await take(h.storage, device);
    expect(Number(next.fence)).toBeGreaterThan(Number(turn.fence));
  },

  'a commit sent again after it writes nothing': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await commit(h.storage, turn, commitOf('answer'));
    await h.storage.eraseDevice(device);
    const again = await h.storage.commit(device, turn.fence, 'builtin', commitOf('answer'), 60_000);
    expect(again.outcome).toBe('lost');
    expect((await h.messages(device)).map(({ content }) => content)).toEqual(['']);
  },

  'what was being sent is settled by nobody, and sent by nobody again': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device, { channel: 'whatsapp', account: 'n' });
    const { replies } = await commit(h.storage, turn, { ...commitOf('reply'), deliver: true });
    await h.storage.eraseDevice(device);
    const settled = replies.map(({ id }) => ({ id, status: 'sent' as const, externalId: 'wamid' }));
    expect(await h.storage.settle(device, turn.fence, settled, 60_000)).toBeNull();
    expect(await retake(h, device)).toBeUndefined();
    const known = await h.storage.noteStatuses('whatsapp', [
      { account: 'n', externalId: 'wamid', replyId: replies[0]?.id ?? null, status: 'read' },
    ]);
    expect(known.known).toBe(0);
  },

  'twenty messages at once with it are each stored whole after it, or erased whole': async (h) => {
    const account = randomUUID();
    const calls = Array.from({ length: 20 }, () => whatsApp('15550003', account));
    const [first] = await h.storage.accept([whatsApp('15550003', account)], terms());
    if (first === undefined) throw new Error('nothing was accepted');
    const { device } = first;
    await Promise.all(
      calls.map(async (said, i) => {
        await h.storage.accept([said], terms());
        if (i % 10 === 0) await h.storage.eraseDevice(device);
      }),
    );
    const [last] = await h.storage.accept([whatsApp('15550003', account)], terms());
    const stored = (
      await Promise.all([...new Set([device, last?.device ?? device])].map(h.messages))
    )
      .flat()
      .filter(({ status }) => status !== 'erased');
    const sessions = new Set(stored.map(({ session }) => session));
    const living = new Set((await h.sessions(last?.device ?? device)).map(({ id }) => id));
    expect([...sessions].filter((session) => !living.has(session))).toEqual([]);
    expect(stored.every(({ content }) => content === 'hello')).toBe(true);
  },
} satisfies Cases;
