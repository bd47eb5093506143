import { expect, it } from 'vitest';
import { FILL, MARK, SETTLE } from '../../lib/storage/cache/scripts.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import { BatonError } from '../../lib/errors.ts';
import { openInstance } from '../support/cached.ts';
import { withRedis } from '../support/redis.ts';
import { newDevice, openPostgres } from '../support/storage.ts';
import { anyway, cacheOfTests, hold, never } from './instances.ts';

// Every way in which a value of before could be given to a reader after a write, one by one and in one order.

/** A place in the way of a call, where it can be held up. */
function barrier() {
  const reached = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => open.resolve(),
    async pass(): Promise<void> {
      reached.resolve();
      await open.promise;
    },
  };
}

withRedis('a value of before is not given', () => {
  const cache = cacheOfTests();
  const { agentOf, warm, held, lapse, stopping } = cache;

  it('while a writer is at work', async () => {
    const device = await held();
    const at = barrier();
    const writer = stopping(SETTLE, at.pass);
    const written = writer.storage.setLock(device, hold('after'), anyway);
    await at.reached;
    expect(await agentOf(device)).toBe('after');
    at.open();
    await written;
    expect(await agentOf(device)).toBe('after');
    expect(cache.other.told.slice(-2)).toEqual(['busy', 'miss']);
  });

  it('after a writer died before it wrote: once its mark has lapsed the cache serves again', async () => {
    const device = await held();
    const writer = openInstance({ ...cache.postgres.storage, setLock: never }, cache.entrance);
    void writer.storage.setLock(device, hold('never'), anyway);
    await expect
      .poll(async () => [await agentOf(device), cache.other.told.at(-1)])
      .toEqual(['before', 'busy']);
    await lapse();
    await warm(device);
  });

  it('after a writer died between the database and the cache, before its mark lapses and after', async () => {
    const device = await held();
    void stopping(SETTLE, never).storage.setLock(device, hold('after'), anyway);
    await expect.poll(() => agentOf(device, cache.postgres.storage)).toBe('after');
    expect(await agentOf(device)).toBe('after');
    await lapse();
    expect(await agentOf(device)).toBe('after');
    await warm(device);
  });

  it.each(['is kept', 'was thrown away', 'has ended, and another reader fills its place'])(
    'that a slow reader brings after the write is done, while the new one %s',
    async (fate) => {
      const device = await held();
      await cache.bridge.redis.send(['FLUSHALL']);
      const at = barrier();
      const slow = stopping(FILL, at.pass);
      expect(await agentOf(device, slow.storage)).toBe('before');
      await at.reached;
      await cache.other.storage.setLock(device, hold('after'), anyway);
      if (fate !== 'is kept') await cache.bridge.redis.send(['FLUSHALL']);
      if (fate.startsWith('has ended')) await agentOf(device, stopping(FILL, never).storage);
      at.open();
      await slow.settled();
      expect(await agentOf(device)).toBe('after');
    },
  );

  it('that a slow writer brings after another wrote', async () => {
    const device = await held();
    const at = barrier();
    const slow = stopping(SETTLE, at.pass);
    const written = slow.storage.setLock(device, hold('first'), anyway);
    await at.reached;
    await cache.other.storage.setLock(device, hold('second'), anyway);
    at.open();
    await written;
    expect(await agentOf(device)).toBe('second');
    await warm(device);
    expect(await agentOf(device)).toBe('second');
  });

  it('by a writer whose mark is gone: Redis came back empty, and a reader filled it before the write', async () => {
    const device = await held();
    const at = barrier();
    const inner: Storage = {
      ...cache.postgres.storage,
      async setLock(...args) {
        await at.pass();
        return cache.postgres.storage.setLock(...args);
      },
    };
    const written = openInstance(inner, cache.entrance).storage.setLock(
      device,
      hold('after'),
      anyway,
    );
    await at.reached;
    await cache.bridge.redis.restart();
    await warm(device);
    at.open();
    await written;
    expect(await agentOf(device)).toBe('after');
  });

  it('past the end of the lock: it ends before', async () => {
    const device = newDevice();
    await cache.other.storage.setLock(device, hold('short', 5), anyway);
    await agentOf(device);
    await cache.other.settled();
    const [key] = (await cache.bridge.redis.send(['KEYS', `*lock:${device}`])) as string[];
    const end = Number(await cache.bridge.redis.send(['PEXPIRETIME', key ?? '']));
    const { lock } = await cache.postgres.storage.getLock(device);
    // both clocks are this machine's
    expect(end).toBeLessThanOrEqual(lock?.expiresAt.getTime() ?? 0);
  });

  it('where nobody knows whether the write happened: everybody asks the database', async () => {
    const device = await held();
    const inner: Storage = {
      ...cache.postgres.storage,
      async setLock(...args) {
        await cache.postgres.storage.setLock(...args);
        throw new BatonError('storage_unavailable', 'the answer was lost');
      },
    };
    const writer = openInstance(inner, cache.entrance);
    await expect(writer.storage.setLock(device, hold('after'), anyway)).rejects.toThrow('lost');
    expect([await agentOf(device), cache.other.told.at(-1)]).toEqual(['after', 'busy']);
  });

  it('and where it surely did not happen the cache serves on', async () => {
    const device = newDevice();
    const small = await openPostgres({ maxStateBytes: 100 });
    const { storage, told, settled } = openInstance(small.storage, cache.entrance);
    const tooLarge = storage.putState(device, { text: 'x'.repeat(200) }, anyway);
    await expect(tooLarge).rejects.toThrow('MAX_STATE_BYTES');
    await storage.getState(device);
    await settled();
    await storage.getState(device);
    expect(told).toEqual(['miss', 'hit']);
    await small.close();
  });

  it('where the intent did not reach the cache: it is told after the write', async () => {
    const device = await held();
    const writer = openInstance(cache.postgres.storage, cache.entrance, {
      wire: (send) => async (words) => {
        if (words[1] === MARK) throw new Error('lost');
        return send(words);
      },
    });
    await writer.storage.setLock(device, hold('after'), anyway);
    await writer.settled();
    expect(await agentOf(device)).toBe('after');
  });
});
