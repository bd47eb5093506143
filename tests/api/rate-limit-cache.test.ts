import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRedisLimiter } from '../../lib/storage/redis/rate-limiter.ts';
import { type Answer, type Api, startApi } from '../support/api.ts';
import { openInstance } from '../support/cached.ts';
import { openMemory } from '../support/memory.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { withRedis } from '../support/redis.ts';
import { newDevice } from '../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

// With a cache it counts, so that a flood does not reach the database.

withRedis('with a cache', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  let api: Api;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
    api = await start();
  });
  afterAll(async () => {
    await api.close();
    await bridge.close();
  });

  const settings = () => ({
    RATE_LIMIT: '3',
    UPSTASH_REDIS_REST_URL: entrance.url,
    UPSTASH_REDIS_REST_TOKEN: entrance.token,
  });
  const start = () => startApi(settings());
  const isAway = () => api.events.some(({ event }) => event === 'cache_unreachable');

  const say = (device: string) =>
    api.call('POST', '/api/webhooks/web', { device, body: { message: 'hello' } });

  /**
   * Says so often; again for another device where a minute of the cache's ended meanwhile, or a busy machine took longer
   * than the cache has to answer.
   */
  async function exhaust(): Promise<{ device: string; answers: Answer[] }> {
    const minute = () => Math.floor(Date.now() / 60_000);
    for (;;) {
      const began = minute();
      const device = randomUUID();
      const answers = [await say(device), await say(device), await say(device)];
      if (minute() === began && !isAway()) return { device, answers };
      await api.close();
      api = await start();
    }
  }

  test('it counts: one request before ACCEPT, headers, and 429 without a word to the database', async () => {
    const { device, answers } = await exhaust();
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers.map(({ headers }) => headers.get('ratelimit'))).toEqual(
      [2, 1, 0].map((left) => expect.stringMatching(`^"messages";r=${left};t=\\d+$`)),
    );
    expect(answers[0]?.headers.get('ratelimit-policy')).toBe('"messages";q=3;w=60');
    const [row] = await api.sql(`SELECT rate_until FROM conversation_states WHERE device_id = $1`, [
      device,
    ]);
    expect(row).toEqual({ rate_until: null });

    const refused = await refuse(api, [429, 'rate_limited'], 'POST', '/api/webhooks/web', {
      device,
      body: { message: 'hello' },
    });

    expect(refused.headers.get('ratelimit')).toMatch(/^"messages";r=0;t=\d+$/);
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThanOrEqual(1);
    expect(wait).toBeLessThanOrEqual(60);
  });

  test('it hangs, and then is gone: the database counts, the first caller waits a moment, the next ones do not, and the log says so', async () => {
    const device = randomUUID();
    entrance.hang();
    const first = await say(device);
    expect(first.headers.get('ratelimit')).toMatch(/^"messages";r=2;t=20$/);
    entrance.resume();
    entrance.cut();
    entrance.reset();
    await say(device);
    await say(device);
    expectProblem(await say(device), 429, 'rate_limited');
    expect(entrance.count()).toBe(0);
    expect(api.events.filter(({ event }) => event === 'cache_unreachable')).toHaveLength(1);
  });

  test('a slow answer within CACHE_TIMEOUT_MS is waited for, as the cache is', async () => {
    entrance.resume();
    const patient = await startApi({ ...settings(), CACHE_TIMEOUT_MS: '10000' });
    entrance.delay(() => 200);
    const device = randomUUID();
    await patient.call('POST', '/api/webhooks/web', { device, body: { message: 'hello' } });
    entrance.delay(() => 0);
    const row = `SELECT rate_until FROM conversation_states WHERE device_id = $1`;
    expect(await patient.sql(row, [device]), 'the database did not count').toEqual([
      { rate_until: null },
    ]);
    expect(patient.events.some(({ event }) => event === 'cache_unreachable')).toBe(false);
    await patient.close();
  });

  describe('of twenty callers at once', () => {
    const callers = Array.from({ length: 20 }, () => randomUUID());
    const nobody = callers.map(() => null);
    const breakerMs = 600_000;
    let way: UpstashEntrance;
    beforeEach(async () => {
      way = await bridge.enter();
    });
    afterEach(() => vi.restoreAllMocks());

    const open = async (timeoutMs: number) => {
      const { storage } = await openMemory();
      const instance = openInstance(storage, way, { timeoutMs, breakerMs });
      const { url, token } = way;
      const limiter = createRedisLimiter({ url, token, timeoutMs }, 3, instance.breaker);
      const takeAll = () => Promise.all(callers.map((caller) => limiter.take(caller)));
      return { ...instance, takeAll };
    };

    test('those wait who were on their way when it began to hang, and nobody after them, the cache included', async () => {
      const { takeAll, storage, told } = await open(200);
      way.hang();
      expect(await takeAll()).toEqual(nobody);
      const asked = way.count();
      expect(asked).toBeGreaterThan(0);
      expect(await takeAll()).toEqual(nobody);
      await storage.getLock(newDevice());
      expect(way.count()).toBe(asked);
      expect(told).toEqual(['unreachable', 'passed']);
    });

    test('nobody waits when the time has come to look again: one request does, beside them', async () => {
      // whoever waited would do so for longer than the test may take
      const { takeAll, told, settled } = await open(600_000);
      way.cut();
      expect(await takeAll()).toEqual(nobody);
      way.resume();
      way.hang();
      way.reset();
      const now = performance.now();
      vi.spyOn(performance, 'now').mockReturnValue(now + 2 * breakerMs);
      expect(await takeAll()).toEqual(nobody);
      expect(await takeAll()).toEqual(nobody);
      await expect.poll(() => way.count()).toBe(1);

      way.resume();
      await settled();
      expect(told).toEqual(['unreachable', 'back']);
      expect(await takeAll()).toEqual(callers.map(() => expect.objectContaining({ left: 2 })));
    });
  });
});
