import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { openRedis } from '../../lib/storage/redis/redis-storage.ts';
import { withRedis } from '../support/redis.ts';
import { commitOf, limits, message, newDevice, take, terms } from '../support/storage.ts';
import { redisOfTests } from './redis-ways.ts';

withRedis('redis', () => {
  const { open, enter, send, trips } = redisOfTests();

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
    await send(['SCRIPT', 'FLUSH']);
    expect(await trips(() => storage.getLock(device))).toEqual([2, 2]);
    await send(['SCRIPT', 'FLUSH']);
    const batch = Array.from({ length: 200 }, () => message(newDevice()));
    expect(await storage.accept(batch, terms())).toHaveLength(200);
  });

  it('is unavailable where there is no answer, and where Redis takes no writes', async () => {
    const own = await enter();
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
});
