import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { withRedis } from '../support/redis.ts';
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
import { newSession, redisOfTests } from './redis-ways.ts';
import { toSend } from './ways.ts';

const { day } = time;

withRedis('redis', () => {
  const { at, keysOf, lifeOf, send } = redisOfTests();

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
    const storage = at(prefix, { ...limits, retentionDays: 1 });
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
    for (const key of await keysOf(`${prefix}{`)) await send(['DEL', key]);
    const call = { requestId: randomUUID(), leaseMs: 1_000, maxTurns: 4 };
    expect((await storage.recover(call)).turns).toEqual([]);
    expect((await storage.listFailed(null, null, 10)).messages).toEqual([]);
    expect(await storage.cleanUp(10)).toMatchObject({ more: false });
    const [again] = await storage.accept([once], terms());
    expect(again).toMatchObject({ messages: [{ duplicate: false, status: 'waiting' }] });
  });

  it('knows whose a device is for as long as it is kept, also long after the last session', async () => {
    const prefix = `${randomUUID()}:`;
    const [storage, later] = [at(prefix), at(prefix, { ...limits, retentionDays: 90 })];
    const session = { ...newSession(), user: 'U' };
    await storage.createSession(session, { living: 0, hourly: 0 });
    await storage.deleteSession(session.id, { owner: null, includeExpired: true });
    const names = await keysOf(`${prefix}who:`);
    const users = await keysOf(`${prefix}user:`);
    expect([names.length, users.length]).toEqual([1, 1]);
    // as after weeks in which nobody began one
    for (const key of [...names, ...users]) await send(['PEXPIRE', key, String(time.minute)]);
    // a sign of life that puts off everything of the device
    await later.putState(session.device, { a: 1 }, { kind: 'none' });
    for (const key of [...names, ...users])
      expect(await lifeOf(key), key).toBeGreaterThan(90 * day);
    expect((await storage.eraseUser('U', 10)).receipt).toMatchObject({ devices: 1, identities: 1 });
    expect((await storage.getState(session.device)).state).toEqual({});
  });

  it('and takes one that has ended and begun anew for nobody’s', async () => {
    const prefix = `${randomUUID()}:`;
    const storage = at(prefix);
    const session = { ...newSession(), user: 'U' };
    await storage.createSession(session, { living: 0, hourly: 0 });
    for (const key of await keysOf(`${prefix}{`)) await send(['DEL', key]);
    await storage.putState(session.device, { a: 1 }, { kind: 'none' });
    expect((await storage.eraseUser('U', 10)).receipt).toMatchObject({ devices: 0, shared: 0 });
    expect((await storage.getState(session.device)).state).toEqual({ a: 1 });
    // and where the same user comes back, it is theirs again
    await storage.createSession({ ...session, id: randomUUID() }, { living: 0, hourly: 0 });
    expect((await storage.eraseUser('U', 10)).receipt).toMatchObject({ devices: 1 });
  });

  it('draws fences that grow also where Redis has lost everything', async () => {
    const prefix = `${randomUUID()}:`;
    const storage = at(prefix);
    const device = newDevice();
    const before = await take(storage, device);
    for (const key of await keysOf(prefix)) await send(['DEL', key]);
    const after = await take(storage, device);
    expect(Number(after.fence)).toBeGreaterThan(Number(before.fence));
    expect((await storage.commit(device, before.fence, 'builtin', commitOf('x'), 1)).outcome).toBe(
      'lost',
    );
  });
});
