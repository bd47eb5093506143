import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRunner, script } from '../../lib/storage/redis/scripts.ts';
import { DOCUMENTS } from '../../lib/storage/redis/lua/documents.ts';
import { openRedis } from '../../lib/storage/redis/redis-storage.ts';
import { openUpstash } from '../../lib/storage/redis/upstash.ts';
import type { NewSession, SessionScope } from '../../lib/storage/storage.ts';
import { mergePatch } from '../../lib/merge-patch.ts';
import type { JsonObject } from '../../lib/json.ts';
import { withRedis } from '../support/redis.ts';
import { openRedisAt } from '../support/redis-storage.ts';
import {
  commit,
  commitOf,
  limits,
  message,
  newDevice,
  take,
  terms,
  time,
} from '../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';
import { contentsOf, recoverFor, toSend } from './ways.ts';

// What the suite does not ask of a storage, because it is Redis's own: keys, their ends, and a Redis that forgets.

const { day } = time;

withRedis('redis', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
  });
  afterAll(() => bridge.close());

  const open = (kept = 100) => openRedisAt(() => entrance, { kept });
  const at = (prefix: string, kept = 100) => openRedis(entrance, { prefix, kept, limits });
  const keysOf = async (prefix: string) =>
    (await bridge.redis.send(['KEYS', `${prefix}*`])) as string[];
  const lifeOf = async (key: string) => Number(await bridge.redis.send(['PTTL', key]));
  const trips = async (call: () => Promise<unknown>) => {
    entrance.reset();
    await call();
    return [entrance.count(), entrance.commands()];
  };

  it('answers every operation in one round trip of one command', async () => {
    const { storage } = await open()();
    const device = newDevice();
    const none = { kind: 'none' } as const;
    const turn = await take(storage, device);
    for (const call of [
      () => storage.getLock(device),
      () => storage.setLock(device, { agent: 'a', ttlSeconds: 60 }, none),
      () => storage.patchState(device, { a: 1 }, none),
      () => storage.getState(device),
      () => storage.accept([message(device)], terms()),
      () => storage.commit(device, turn.fence, 'builtin', commitOf('x'), 1_000),
      () => storage.next([device], terms()),
      () => storage.recover({ requestId: randomUUID(), leaseMs: 1_000, maxTurns: 4 }),
      () => storage.cleanUp(10),
      () => storage.ping(),
    ]) {
      await call(); // the first one brings the script
      expect(await trips(call)).toEqual([1, 1]);
    }
  });

  it('accepts messages of many senders in one round trip', async () => {
    const { storage } = await open()();
    const batch = () => Array.from({ length: 500 }, () => message(newDevice()));
    await storage.accept(batch(), terms());
    const [requests, commands] = await trips(() => storage.accept(batch(), terms()));
    expect(requests).toBe(1);
    expect(commands).toBeLessThan(20);
  });

  it('gives a big batch in the order of its messages, each sender’s together', async () => {
    const { storage } = await open()();
    const [one, other] = [newDevice(), newDevice()];
    const batch = Array.from({ length: 120 }, (_, i) =>
      message(i % 2 === 0 ? one : other, { content: `${i}`, turn: false }),
    );
    const accepted = await storage.accept(batch, terms());
    expect(accepted.map(({ device }) => device).toSorted()).toEqual([one, other].toSorted());
    for (const { device, messages } of accepted) {
      const first = device === one ? 0 : 1;
      expect(messages.map(({ index }) => index)).toEqual(
        Array.from({ length: 60 }, (_, i) => first + 2 * i),
      );
    }
  });

  it('takes up where Redis has lost its scripts', async () => {
    const { storage } = await open()();
    const device = newDevice();
    await take(storage, device);
    await bridge.redis.send(['SCRIPT', 'FLUSH']);
    expect(await trips(() => storage.getLock(device))).toEqual([2, 2]);
    await bridge.redis.send(['SCRIPT', 'FLUSH']);
    const batch = Array.from({ length: 200 }, () => message(newDevice()));
    expect(await storage.accept(batch, terms())).toHaveLength(200);
  });

  it('is a storage of its own under each prefix', async () => {
    const [one, other] = [at(`${randomUUID()}:`), at(`${randomUUID()}:`)];
    const device = newDevice();
    await one.putState(device, { a: 1 }, { kind: 'none' });
    expect((await other.getState(device)).version).toBeNull();
  });

  it('keeps all keys of a device in one hash slot', async () => {
    const prefix = `${randomUUID()}:`;
    const storage = at(prefix);
    const device = newDevice();
    await commit(storage, await take(storage, device), commitOf('x'));
    const names = (await keysOf(prefix)).map((key) => key.slice(prefix.length));
    // what leads to a device, and what is counted and due over all
    const leading = /^(fence|id|due|ends|(key|session|reply):.*)$/;
    const own = names.filter((name) => !leading.test(name));
    expect(own.length).toBeGreaterThan(5);
    expect(own.filter((name) => !name.startsWith(`{${device}}:`))).toEqual([]);
  });

  it('lets everything of a device end by itself, the retention after it was last heard of', async () => {
    const prefix = `${randomUUID()}:`;
    const storage = at(prefix);
    const device = newDevice();
    const sender = { phone: '1', userId: 'A' };
    const [accepted] = await storage.accept(
      [message(device, { channel: 'whatsapp', account: 'n', sender })],
      terms(),
    );
    if (accepted?.turn == null) throw new Error('the turn was not free');
    await commit(storage, accepted.turn, toSend('x'));
    await storage.putState(accepted.device, { a: 1 }, { kind: 'none' });
    // over all devices: counters, what is due when, the secret of their names
    const lasting = ['fence', 'id', 'due', 'ends', 'failed', 'secret'].map((name) => prefix + name);
    for (const key of await keysOf(prefix)) {
      if (lasting.includes(key)) continue;
      const life = await lifeOf(key);
      expect(life, key).toBeGreaterThan(7 * day);
      expect(life, key).toBeLessThan(62 * day);
      if (key.includes('{')) expect(life, key).toBeGreaterThan(29 * day);
    }
  });

  it('keeps what lives longer than the retention: a lock, a session', async () => {
    const prefix = `${randomUUID()}:`;
    const some = { ...limits, retentionDays: 1 };
    const storage = openRedis(entrance, { prefix, kept: 100, limits: some });
    const device = newDevice();
    const ttlSeconds = (20 * day) / 1_000;
    await storage.setLock(device, { agent: 'a', ttlSeconds }, { kind: 'none' });
    expect(await lifeOf(`${prefix}{${device}}:device`)).toBeGreaterThan(19 * day);
    const session = { ...newSession(), ttlSeconds };
    await storage.createSession(session, { living: 0, hourly: 0 });
    expect(await lifeOf(`${prefix}session:${session.id}`)).toBeGreaterThan(19 * day);
    expect(await lifeOf(`${prefix}{${session.device}}:sessions`)).toBeGreaterThan(19 * day);
  });

  it('goes on where keys have ended under it', async () => {
    const prefix = `${randomUUID()}:`;
    const storage = at(prefix);
    const device = newDevice();
    const once = message(device);
    await storage.accept([once], terms({ maxTurns: 0 }));
    for (const key of await keysOf(`${prefix}{`)) await bridge.redis.send(['DEL', key]);
    const call = { requestId: randomUUID(), leaseMs: 1_000, maxTurns: 4 };
    expect((await storage.recover(call)).turns).toEqual([]);
    expect((await storage.listFailed(null, null, 10)).messages).toEqual([]);
    expect(await storage.cleanUp(10)).toMatchObject({ more: false });
    const [again] = await storage.accept([once], terms());
    expect(again).toMatchObject({ messages: [{ duplicate: false, status: 'waiting' }] });
  });

  it('draws fences that grow also where Redis has lost everything', async () => {
    const prefix = `${randomUUID()}:`;
    const storage = at(prefix);
    const device = newDevice();
    const before = await take(storage, device);
    for (const key of await keysOf(prefix)) await bridge.redis.send(['DEL', key]);
    const after = await take(storage, device);
    expect(Number(after.fence)).toBeGreaterThan(Number(before.fence));
    expect((await storage.commit(device, before.fence, 'builtin', commitOf('x'), 1)).outcome).toBe(
      'lost',
    );
  });

  it('keeps a session’s last messages, and knows a redelivery of one that went', async () => {
    const h = await open(10)();
    const device = newDevice();
    const first = message(device, { externalId: 'first' });
    await commit(h.storage, await take(h.storage, device, first), commitOf('a0'));
    for (let i = 1; i < 8; i++)
      await commit(h.storage, await take(h.storage, device), commitOf(`a${i}`));
    const stored = await h.messages(device);
    expect(stored).toHaveLength(10);
    expect(stored[1]?.content).toBe('a3');
    expect(await h.sessions(device)).toMatchObject([{ messageCount: 16 }]);
    const [again] = await h.storage.accept([first], terms());
    expect(again).toMatchObject({
      turn: null,
      messages: [{ messageId: 'first', duplicate: true, status: 'answered' }],
    });
    const next = await take(h.storage, device);
    expect(contentsOf({ messages: next.history })?.at(-1)).toBe('a7');
  });

  it('keeps a mebibyte of a session at most, the newest of it in any case', async () => {
    const h = await open(100)();
    const device = newDevice();
    const long = 'x'.repeat(300_000);
    for (let i = 0; i < 3; i++)
      await commit(h.storage, await take(h.storage, device, { content: long }), commitOf(`a${i}`));
    expect(await h.messages(device)).toHaveLength(6);
    await commit(h.storage, await take(h.storage, device, { content: long }), commitOf('a3'));
    expect((await h.messages(device)).map(({ content }) => content.slice(0, 2))).toEqual([
      'a0',
      'xx',
      'a1',
      'xx',
      'a2',
      'xx',
      'a3',
    ]);
    await commit(h.storage, await take(h.storage, device), commitOf('y'.repeat(2_000_000)));
    expect((await h.messages(device)).map(({ content }) => content.slice(0, 1))).toEqual(['y']);
  });

  it('never lets go of a reply that is not out', async () => {
    const h = await open(2)();
    const device = newDevice();
    const turn = await take(h.storage, device);
    await commit(h.storage, turn, toSend('a', 'b', 'c', 'd'));
    expect((await h.messages(device)).map(({ content }) => content)).toEqual(['a', 'b', 'c', 'd']);
    await h.shift(device, { turn: 0 });
    await recoverFor(h, device);
    await h.shift(device, { unsettled: 0 });
    expect((await recoverFor(h, device))?.replies.map(({ content }) => content)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('lists and exports what is over as long as it is kept', async () => {
    const h = await open()();
    const user = randomUUID();
    const session = { ...newSession(), user };
    await h.storage.createSession(session, { living: 0, hourly: 0 });
    await h.age(session.device, 3_600_000);
    for (const [includeExpired, total] of [
      [false, 0],
      [true, 1],
    ] as const) {
      const scope: SessionScope = { user, device: null, active: null, includeExpired };
      expect(await h.storage.listSessions(scope, null, 10)).toMatchObject({ total });
      expect(await h.storage.readExport(scope, null, 10)).toHaveLength(total);
    }
  });

  it('says of what it cannot do that it cannot', async () => {
    const { storage } = await open()();
    const everybody = { user: null, device: null, active: null, includeExpired: false };
    for (const call of [
      storage.searchSessions('word', { ...everybody, user: 'u' }, null, 10),
      storage.listSessions(everybody, null, 10),
      storage.readExport(everybody, null, 10),
    ])
      await expect(call).rejects.toMatchObject({ code: 'not_supported' });
  });

  it('is unavailable where there is no answer, and where Redis takes no writes', async () => {
    const own = await bridge.enter();
    const settings = { prefix: 'p:', kept: 100, limits };
    const storage = openRedis(own, settings);
    const refused = { code: 'storage_unavailable' };
    own.cut();
    await expect(storage.ping()).rejects.toMatchObject(refused);
    own.resume();
    await expect(storage.ping()).resolves.toBeDefined();
    const stranger = openRedis({ url: own.url, token: 'x' }, settings);
    await expect(stranger.ping()).rejects.toMatchObject(refused);
  });

  it.each<[string, JsonObject, JsonObject]>([
    ['nothing', {}, {}],
    ['lists, which are replaced', { a: [1, { b: [] }] }, { a: [] }],
    ['empty ones', { a: {}, b: [], c: '' }, { d: {}, e: [] }],
    ['nulls in a new part', {}, { a: { b: null, c: { d: null } } }],
    ['a part in the place of a value', { a: 1, b: [1] }, { a: { x: 1 }, b: { y: 2 } }],
    ['a value in the place of a part', { a: { x: 1 } }, { a: 1 }],
    ['quotes, brackets and backslashes', { 'a"}': '\\"{[,:]}\\\\', b: 1 }, { 'a"}': null }],
    [
      'keys of every object',
      JSON.parse('{"__proto__":{"a":1}}'),
      JSON.parse('{"__proto__":{"b":2}}'),
    ],
    [
      'numbers as they are',
      { a: 1e21, b: 0.1, c: 123456789012345680000, d: -0.5e-7 },
      { e: 1e300 },
    ],
    ['letters of every script', { é: '漢字\u2028', '😀': '\u0001' }, { é: 'ü', '😀': null }],
    ['deep ones', deep(90, 'x'), deep(90, 'y')],
  ])('merges %s', async (_, target, patch) => {
    const MERGE = script(DOCUMENTS, 'return cjson.encode({ merged(input.target, input.patch) })');
    const { run } = createRunner(openUpstash(entrance), { prefix: '', kept: 1, limits });
    const input = { target: JSON.stringify(target), patch: JSON.stringify(patch) };
    const [merged] = (await run(MERGE, input)) as [string];
    expect(JSON.parse(merged)).toEqual(mergePatch(target, patch));
  });
});

const newSession = (): NewSession => ({
  id: randomUUID(),
  device: newDevice(),
  user: null,
  channel: 'api',
  metadata: {},
  ttlSeconds: null,
});

function deep(levels: number, key: string): JsonObject {
  let document: JsonObject = { [key]: 1 };
  for (let i = 0; i < levels; i++) document = { a: document };
  return document;
}
