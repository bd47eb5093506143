import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, type Api, startApi } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { withRedis } from '../support/redis.ts';
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

  const start = () =>
    startApi({
      RATE_LIMIT: '3',
      UPSTASH_REDIS_REST_URL: entrance.url,
      UPSTASH_REDIS_REST_TOKEN: entrance.token,
    });
  const isAway = () => api.events.some(({ event }) => event === 'rate_limiter_away');

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
    expect(api.events.filter(({ event }) => event === 'rate_limiter_away')).toHaveLength(1);
  });
});
