import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { withRedis } from '../support/redis.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

withRedis('requests to a deployment with a cache', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  let api: Api;
  let device: string;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
    api = await startApi({
      UPSTASH_REDIS_REST_URL: entrance.url,
      UPSTASH_REDIS_REST_TOKEN: entrance.token,
      CACHE_TIMEOUT_MS: '10000',
      CACHE_TTL: '300',
      RATE_LIMIT: '0', // it asks Redis too
    });
  });
  afterAll(async () => {
    await api.close();
    await bridge.close();
  });
  beforeEach(() => {
    device = randomUUID();
  });

  const call = (
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ) =>
    api.call(method, path, {
      device,
      headers,
      ...(body && { body }),
      ...(method === 'PATCH' && { type: 'application/merge-patch+json' }),
    });
  const holder = async (headers: Record<string, string> = {}) =>
    ((await call('GET', '/api/lock', undefined, headers)).json as { active_agent: string | null })
      .active_agent;

  describe('round trips: to PostgreSQL, and to Redis', () => {
    const trips = async (
      run: () => Promise<unknown>,
    ): Promise<{ postgres: number; redis: number }> => {
      await api.settled();
      api.wire.reset();
      entrance.reset();
      await run();
      return { postgres: api.wire.count(), redis: entrance.count() };
    };

    it.each(['/api/lock', '/api/state'])('GET %s: 1 and 1, then 0 and 1', async (path) => {
      const cold = await trips(() => call('GET', path));
      // the filling is not waited for
      expect(cold).toEqual({ postgres: 1, redis: expect.toSatisfy((n) => n === 1 || n === 2) });
      expect(await trips(() => call('GET', path))).toEqual({ postgres: 0, redis: 1 });
    });

    it.each([
      ['PUT', '/api/lock', { agent: 'billing' }],
      ['DELETE', '/api/lock', undefined],
      ['PUT', '/api/state', { state: { a: 1 } }],
      ['PATCH', '/api/state', { b: 2 }],
      ['DELETE', '/api/state', undefined],
    ])(
      '%s %s: 1 and 2, and of two reads after it the second 0 and 1',
      async (method, path, body) => {
        expect(await trips(() => call(method, path, body))).toEqual({ postgres: 1, redis: 2 });
        await call('GET', path);
        expect(await trips(() => call('GET', path))).toEqual({ postgres: 0, redis: 1 });
      },
    );

    it('a guarded write that is refused: 1 and 2', async () => {
      const refused = () => call('PUT', '/api/lock', { agent: 'a' }, { 'if-match': '"1"' });
      expect(await trips(refused)).toEqual({ postgres: 1, redis: 2 });
    });

    it('a read past the cache: 1 and 0', async () => {
      await call('GET', '/api/lock');
      const past = () => call('GET', '/api/lock', undefined, { 'cache-control': 'no-cache' });
      expect(await trips(past)).toEqual({ postgres: 1, redis: 0 });
    });

    it('a whole web turn: 2 and at most 2', async () => {
      for (const message of ['hello', 'I want to book an appointment', 'tomorrow']) {
        const counted = await trips(() => call('POST', '/api/webhooks/web', { message }));
        expect(counted.postgres).toBe(2);
        expect(counted.redis).toBeLessThanOrEqual(2);
      }
    });

    it('a turn of an external worker: 1 and 0 to take it, 1 and at most 2 to answer', async () => {
      let token: unknown;
      const taken = await trips(async () => {
        const body = { message_id: randomUUID(), content: 'hi' };
        const { json } = await call('POST', '/api/turn', body);
        token = (json as { turn: { token: string } }).turn.token;
      });
      expect(taken).toEqual({ postgres: 1, redis: 0 });
      const replies = [{ content: 'hello' }];
      expect(await trips(() => call('PUT', '/api/turn', { token, replies }))).toEqual({
        postgres: 1,
        redis: expect.toSatisfy((n) => n <= 2),
      });
    });
  });

  describe('Cache-Control: no-cache', () => {
    beforeEach(async () => {
      await call('PUT', '/api/lock', { agent: 'billing' });
      expect(await holder()).toBe('billing');
      await api.settled();
      await api.sql('UPDATE conversation_states SET active_agent = $2 WHERE device_id = $1', [
        device,
        'scheduling',
      ]);
    });

    it.each(['no-cache', 'max-age=0, no-cache', 'No-Cache'])(
      '%s: asks the database',
      async (wish) => {
        expect(await holder({ 'cache-control': wish })).toBe('scheduling');
      },
    );

    it.each(['', 'max-age=60', 'x-no-cache'])('%s: may be answered by the cache', async (wish) => {
      expect(await holder({ 'cache-control': wish })).toBe('billing');
    });

    it('on a write: the cache learns of it all the same', async () => {
      await call('PUT', '/api/lock', { agent: 'human' }, { 'cache-control': 'no-cache' });
      expect(await holder()).toBe('human');
    });
  });

  it('two deployments with databases of their own share a Redis and nothing in it', async () => {
    const other = await startApi({
      UPSTASH_REDIS_REST_URL: entrance.url,
      UPSTASH_REDIS_REST_TOKEN: entrance.token,
    });
    await call('PUT', '/api/lock', { agent: 'billing' });
    expect(await holder()).toBe('billing');
    expect((await other.call('GET', '/api/lock', { device })).json).toMatchObject({
      active_agent: null,
    });
    await other.close();
  });

  describe('while the cache cannot be reached', () => {
    it('health says degraded, one warning is logged, and all answers are the same', async () => {
      expect((await api.call('GET', '/api/health')).json).toMatchObject({
        status: 'ok',
        checks: { cache: { ok: true, configured: true, latency_ms: expect.any(Number) } },
      });
      await call('PUT', '/api/lock', { agent: 'billing' });
      api.events.length = 0;
      entrance.cut();
      try {
        expect(await holder()).toBe('billing');
        expect((await call('PUT', '/api/lock', { agent: 'human' })).status).toBe(200);
        expect(await holder()).toBe('human');
        expect((await call('DELETE', '/api/lock')).status).toBe(204);
        expect((await call('PATCH', '/api/state', { a: 1 })).json).toMatchObject({
          state: { a: 1 },
        });
        const web = await call('POST', '/api/webhooks/web', { message: 'hello' });
        expect(web.json).toMatchObject({ persisted: true });
        const health = await api.call('GET', '/api/health');
        expect(health.status).toBe(200);
        expect(health.json).toEqual({
          status: 'degraded',
          checks: {
            database: { ok: true, latency_ms: expect.any(Number) },
            cache: { ok: false, configured: true },
          },
        });
      } finally {
        entrance.resume();
      }
      await api.settled();
      expect(api.events.filter(({ level }) => level !== 'info')).toEqual([
        expect.objectContaining({
          level: 'warn',
          event: 'cache_unreachable',
          code: expect.any(String),
        }),
      ]);
      expect((await api.call('GET', '/api/health')).json).toMatchObject({ status: 'ok' });
    });
  });
});
