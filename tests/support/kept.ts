import { randomUUID } from 'node:crypto';
import { exportText, type FormatName } from '../../lib/export.ts';
import { parseJson } from '../../lib/json.ts';
import type { DeviceId, Storage, Turn } from '../../lib/storage/storage.ts';
import { commit, commitOf, message, newDevice, take, terms } from './storage.ts';

// A storage with something of every kind in it, put there as callers do, and a picture of what callers see of it.

export interface Kept {
  devices: DeviceId[];
  users: string[];
}

const none = { kind: 'none' } as const;
const text = 'a "quoted" / \\ text,\nof two lines\u2028 and 🙂';

/** @param storage whose messages are set aside when they failed once */
export async function fill(storage: Storage, sessions: number): Promise<Kept> {
  const devices: DeviceId[] = [];
  for (let i = 0; i < sessions; i++) {
    const device = newDevice();
    devices.push(device);
    await talk(storage, device, i);
    const other = others[i % others.length];
    devices.push(...((await other?.(storage, device)) ?? []));
  }
  return { devices, users: Array.from({ length: 10 }, (_, i) => `user ${i}`) };
}

/** A chat session of two turns, with a state. */
async function talk(storage: Storage, device: DeviceId, i: number): Promise<void> {
  const session = {
    id: randomUUID(),
    device,
    user: i % 11 === 10 ? null : `user ${i % 10}`,
    channel: 'chat',
    metadata: { n: i, title: text, zeta: { b: [], a: {} } },
    ttlSeconds: i % 3 === 0 ? 7_200 : null,
  };
  await storage.createSession(session, { living: 0, hourly: 0 });
  for (const said of [`${text} ${i}`, 'and now?']) {
    const turn = await take(storage, device, {
      sender: { session: session.id },
      channel: 'chat',
      account: '',
      content: said,
      metadata: { k: i, a: [1.5, null] },
      sentAt: new Date(Date.now() - 60_000),
      perMinute: 1_000,
    });
    const replies = [
      { content: `you said ${said}`, metadata: { sources: ['x'] }, agent: 'manager' },
    ];
    const state = { step: i, long: 'ü'.repeat(i % 50), list: [null, { c: 1, b: 2 }] };
    await commit(storage, turn, { ...commitOf(), replies, statePatch: state });
  }
}

/** What else may be there, each on a device of its own; gives other devices that it made. */
const others: ((storage: Storage, device: DeviceId) => Promise<DeviceId[]>)[] = [
  async (storage, device) => {
    const lock = { do: 'set', agent: 'billing', ttl: 3_600 } as const;
    await commit(storage, await take(storage, device), { ...commitOf('x', 'y'), lock });
    return [];
  },
  async (storage, device) => {
    await storage.setLock(device, { agent: 'human', ttlSeconds: 600 }, none);
    await storage.accept([message(device)], terms());
    return [];
  },
  async (storage, device) => {
    await storage.accept([message(device), message(device)], terms({ maxTurns: 0 }));
    return [];
  },
  async (storage, device) => {
    await storage.fail(device, (await take(storage, device)).fence, 'TypeError');
    return [];
  },
  async (storage, device) => {
    await commit(storage, await take(storage, device), { ...commitOf('a', 'b'), deliver: true });
    return [];
  },
  async (storage, device) => {
    const turn = await take(storage, device, { channel: 'whatsapp', account: 'n' });
    await deliver(storage, turn);
    return [];
  },
  async (storage, device) => {
    await commit(storage, await take(storage, device), { ...commitOf('bye'), complete: true });
    return [];
  },
  async (storage, device) => {
    await take(storage, device, { channel: 'api' }, 'external');
    return [];
  },
  async (storage, device) => {
    for (const agent of ['billing', 'scheduling', 'billing']) {
      await storage.setLock(device, { agent, ttlSeconds: 60 }, none);
    }
    await storage.clearLock(device, none);
    await storage.clearState(device, none);
    return [];
  },
  async (storage, device) => {
    const guest = newDevice();
    const { link } = await storage.offerLink(device, [randomUUID()], 600);
    await storage.redeemLink(guest, link?.code ?? '', { own: 5, all: 1_000, seconds: 600 });
    const { sessionId } = await take(storage, device);
    await storage.deleteSession(sessionId, { owner: null, includeExpired: false });
    return [guest];
  },
  async (storage, device) => {
    const sender = { phone: `1555${device.slice(0, 6)}`, userId: device.slice(0, 8) };
    const from = { ...message(device), channel: 'whatsapp', account: 'n', sender };
    const [accepted] = await storage.accept([from], terms());
    if (accepted?.turn == null) throw new Error('the turn was not free');
    await deliver(storage, accepted.turn);
    return [accepted.device];
  },
  async (storage, device) => {
    await storage.eraseDevice(device);
    return [];
  },
];

/** Replies of which one is delivered, one is of unknown fate, and one has to wait. */
async function deliver(storage: Storage, turn: Turn): Promise<void> {
  const { replies } = await commit(storage, turn, { ...commitOf('1', '2', '3'), deliver: true });
  const [first = '', second = '', third = ''] = replies.map(({ id }) => id);
  const externalId = `wamid.${first}`;
  await storage.settle(
    turn.device,
    turn.fence,
    [
      { id: first, status: 'sent', externalId },
      { id: second, status: 'unknown' },
      { id: third, status: 'pending', untried: true },
    ],
    0,
  );
  const status = { account: turn.account, externalId, replyId: null, status: 'delivered' } as const;
  await storage.noteStatuses(turn.channel, [status]);
}

/** What callers see, whatever the storage: documents have no order of their keys. */
export async function pictureOf(storage: Storage, { devices, users }: Kept): Promise<object> {
  const seen: Record<string, object> = {};
  for (const device of devices) {
    const { lock } = await storage.getLock(device);
    const { now: _now, shared: _shared, ...state } = await storage.getState(device);
    const { messages: failed } = await storage.listFailed(device, null, 100);
    const read = await storage.readDevice(device, null, 100);
    const { updatedAt: _updated, state: _bytes, ...record } = read?.record ?? {};
    const said = recordsIn(await exported(storage, { user: null, device }, 'jsonl'));
    seen[device] = { lock, state, failed, record, said };
  }
  const all: unknown[] = [];
  for (const user of users) {
    all.push(recordsIn(await exported(storage, { user, device: null }, 'jsonl')));
  }
  return { devices: seen, users: all };
}

export async function exported(
  storage: Storage,
  scope: { user: string | null; device: DeviceId | null },
  format: FormatName,
): Promise<string> {
  const parts: string[] = [];
  const stream = exportText({ storage }, { ...scope, includeExpired: true }, format);
  for await (const part of stream) parts.push(part);
  return parts.join('');
}

const recordsIn = (lines: string) =>
  lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJson(line));
