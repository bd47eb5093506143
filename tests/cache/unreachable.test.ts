import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Storage } from '../../lib/storage/storage.ts';
import { openInstance } from '../support/cached.ts';
import { withRedis } from '../support/redis.ts';
import { type Harness, newDevice, openPostgres } from '../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

const anyway = { kind: 'none' } as const;
const hold = (agent: string) => ({ agent, ttlSeconds: 600 });

async function timed(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

/** The time that 99 of 100 calls stay under. */
const percentile99 = (times: number[]) =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? NaN;

withRedis('a cache that cannot be reached', () => {
  let bridge: UpstashBridge;
  let postgres: Harness;
  let entrance: UpstashEntrance;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    postgres = await openPostgres();
  });
  afterAll(async () => {
    await bridge.close();
    await postgres.close();
  });
  beforeEach(async () => {
    entrance = await bridge.enter();
    await bridge.redis.restart();
  });
  afterEach(() => entrance.close());

  /** How many times as long as without the cache 99 of 100 reads of a lock take at most. */
  async function slowdown(storage: Storage): Promise<number> {
    const device = newDevice();
    const times: Record<'with' | 'without', number[]> = { with: [], without: [] };
    // in turns, so that what else this machine does falls on both
    for (let i = 0; i < 1_000; i++) {
      times.with.push(await timed(() => storage.getLock(device)));
      times.without.push(await timed(() => postgres.storage.getLock(device)));
    }
    return percentile99(times.with) / percentile99(times.without);
  }

  it.each(['cut', 'hang'] as const)(
    'by the writer alone (%s): readers are given what stood before until the TTL is over, and then the write',
    async (fault) => {
      const ttlMs = 600_000;
      const device = newDevice();
      const reader = openInstance(postgres.storage, await bridge.enter(), { ttlMs });
      const writer = openInstance(postgres.storage, entrance, { ttlMs, timeoutMs: 50 });
      const read = async () => {
        reader.told.length = 0;
        const { lock } = await reader.storage.getLock(device);
        await reader.settled();
        return [lock?.agent, ...reader.told];
      };
      await writer.storage.setLock(device, hold('before'), anyway);
      await writer.settled();
      expect(await read()).toEqual(['before', 'miss']);
      const [key] = (await bridge.redis.send(['KEYS', `*:lock:${device}`])) as string[];
      const send = async (...words: string[]) =>
        Number(await bridge.redis.send([words[0] ?? '', key ?? '', ...words.slice(1)]));
      const end = await send('PEXPIRETIME');
      expect(await send('PTTL')).toBeLessThanOrEqual(ttlMs);

      entrance[fault]();
      await writer.storage.setLock(device, hold('after'), anyway);
      await writer.settled();
      // it could not be told of the write, and nothing prolongs it
      for (let i = 0; i < 3; i++) expect(await read()).toEqual(['before', 'hit']);
      expect(await send('PEXPIRETIME')).toBe(end);

      await send('PEXPIREAT', '1');
      expect(await read()).toEqual(['after', 'miss']);
    },
  );

  it(
    'dead: of a hundred reads of a lock 99 take at most twice as long as without',
    { retry: 3 },
    async () => {
      await bridge.redis.kill();
      const { storage, told } = openInstance(postgres.storage, entrance);
      expect(await slowdown(storage)).toBeLessThan(2);
      expect(told.filter((event) => event === 'unreachable')).toHaveLength(1);
    },
  );

  it(
    'hanging: one request waits for it, and the next ones are as quick as with a dead one',
    { retry: 3 },
    async () => {
      entrance.hang();
      const { storage, told } = openInstance(postgres.storage, entrance, {
        timeoutMs: 500,
        breakerMs: 600_000,
      });
      await storage.getLock(newDevice());
      expect(await slowdown(storage)).toBeLessThan(2);
      expect(entrance.count()).toBe(1);
      expect(told).toEqual(['unreachable', ...Array.from({ length: 1_001 }, () => 'passed')]);
    },
  );

  it('hanging: a write waits for it once, and tells it without waiting', async () => {
    entrance.hang();
    const { storage, told } = openInstance(postgres.storage, entrance, { timeoutMs: 200 });
    const device = newDevice();
    const both = await Promise.all([
      storage.setLock(device, hold('first'), anyway),
      storage.putState(device, { a: 1 }, anyway),
    ]);
    expect(both.map(({ written }) => written)).toEqual([true, true]);
    // of those that waited together one says so
    expect(told).toEqual(['unreachable']);
    expect((await storage.getLock(device)).lock?.agent).toBe('first');
  });

  it('and back: it serves again, and what was written meanwhile is known', async () => {
    const device = newDevice();
    const reader = openInstance(postgres.storage, await bridge.enter(), { ttlMs: 600_000 });
    const writer = openInstance(postgres.storage, entrance, { breakerMs: 1, timeoutMs: 200 });
    const agentOf = async (by: Storage) => (await by.getLock(device)).lock?.agent;
    await reader.storage.setLock(device, hold('before'), anyway);
    entrance.hang();
    expect(await agentOf(writer.storage)).toBe('before');
    // in truth the cache can be reached again, but this one does not know yet
    entrance.resume();
    await writer.storage.setLock(device, hold('after'), anyway);
    await writer.settled();
    expect(await agentOf(reader.storage)).toBe('after');
    await expect
      .poll(async () => {
        await agentOf(writer.storage);
        return writer.told.slice(-2);
      })
      .toEqual(['hit', 'hit']);
    expect(writer.told.filter((event) => /unreachable|back/.test(event))).toEqual([
      'unreachable',
      'back',
    ]);
  });

  it.each([
    ['a wrong token', (good: UpstashEntrance) => ({ url: good.url, token: 'wrong' })],
    ['another server', () => ({ url: 'http://127.0.0.1:9', token: 'any' })],
  ])('for good (%s): everything goes on as without it', async (_, entranceOf) => {
    const { storage, told } = openInstance(postgres.storage, entranceOf(entrance));
    const device = newDevice();
    for (const agent of ['a', 'b']) {
      await storage.setLock(device, hold(agent), anyway);
      expect((await storage.getLock(device)).lock?.agent).toBe(agent);
    }
    expect(told.filter((event) => event === 'unreachable')).toHaveLength(1);
  });
});
