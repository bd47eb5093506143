import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { withRedis } from '../support/redis.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

const CRON = 'secret-of-the-cron-which-is-long-1';
const KEY = 'an-api-key-which-is-long-enough-12';

withRedis('a deployment that keeps everything in Redis', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  let api: Api;
  let device: string;
  const settings = () => ({
    STORAGE: 'redis',
    UPSTASH_REDIS_REST_URL: entrance.url,
    UPSTASH_REDIS_REST_TOKEN: entrance.token,
    API_KEYS: KEY,
    CRON_SECRET: CRON,
  });
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
    api = await startApi(settings());
  });
  beforeEach(() => {
    device = randomUUID();
  });
  afterAll(async () => {
    await api.close();
    await bridge.close();
  });

  const call = (method: string, path: string, body?: object, from = api) =>
    from.call(method, path, {
      device,
      ...(method === 'PATCH' && { type: 'application/merge-patch+json' }),
      headers: { authorization: `Bearer ${KEY}` },
      ...(body && { body }),
    });
  const say = (message: string, some: object = {}, from = api) =>
    call('POST', '/api/webhooks/web', { message, ...some }, from);

  it('keeps a conversation with its agent, on every instance, and asks no other database', async () => {
    api.wire.reset();
    const first = { message_id: randomUUID() };
    const booked = await say('I would like to book an appointment', first);
    expect(booked.json).toMatchObject({ active_agent: 'scheduling', persisted: true });
    const other = await startApi(settings());
    const again = await say('I would like to book an appointment', first, other);
    expect(again.json).toMatchObject({ replies: (booked.json as { replies: unknown }).replies });
    expect((await call('GET', '/api/lock', undefined, other)).json).toMatchObject({
      active_agent: 'scheduling',
    });
    expect((await call('GET', '/api/state', undefined, other)).json).toHaveProperty('version');
    await other.close();
    expect(api.wire.count()).toBe(0);
  });

  it('takes two round trips a turn: one accepts and takes it, one commits', async () => {
    await say('one');
    entrance.reset();
    await say('two');
    expect([entrance.count(), entrance.commands()]).toEqual([2, 2]);
  });

  it('begins sessions, tells what was said in them, and lists them by user and by device', async () => {
    const user = randomUUID();
    const begun = await call('POST', '/api/chat/sessions', { user_id: user });
    expect(begun.status).toBe(201);
    const { session_id: session } = begun.json as { session_id: string };
    await call('POST', `/api/chat/sessions/${session}/messages`, { message: 'hello' });
    const history = await call('GET', `/api/chat/sessions/${session}/history`);
    expect((history.json as { messages: unknown[] }).messages).toHaveLength(2);
    for (const by of [`user_id=${user}`, `device_id=${device}`]) {
      const listed = await call('GET', `/api/chat/sessions?${by}`);
      expect(listed.text, by).toContain(session);
      const download = await call('GET', `/api/chat/sessions?${by}&format=jsonl`);
      expect(download.text.trim().split('\n').length, by).toBeGreaterThanOrEqual(3);
    }
  });

  it('counts what a device sends in a minute as it takes it', async () => {
    const { headers } = await say('how many are left?');
    expect(headers.get('ratelimit')).toMatch(/^"messages";r=\d+;t=\d+$/);
  });

  it('cleans up', async () => {
    const cron = await api.call('GET', '/api/cron/cleanup', {
      headers: { authorization: `Bearer ${CRON}` },
    });
    expect(cron.status).toBe(200);
  });

  describe('501 not_supported: what Redis has no index for', () => {
    it.each([
      ['search', '/api/chat/sessions?user_id=u&q=word'],
      ['a list of everybody’s sessions', '/api/chat/sessions'],
      ['figures', '/api/metrics'],
      ['figures since a time', '/api/chat/stats'],
    ])('%s', async (_, path) => {
      // without a device: an operator's own call
      const asked = await api.call('GET', path, { headers: { authorization: `Bearer ${KEY}` } });
      expectProblem(asked, 501, 'not_supported');
    });
  });

  describe('413: what would be too large is not stored', () => {
    it.each([
      ['message_too_large', 'POST', '/api/webhooks/web', { message: 'x'.repeat(524_289) }],
      [
        'metadata_too_large',
        'POST',
        '/api/webhooks/web',
        { message: 'x', metadata: { x: 'x'.repeat(524_288) } },
      ],
      ['state_too_large', 'PATCH', '/api/state', { more: 'x'.repeat(600_000) }],
    ])('%s', async (code, method, path, body) => {
      await call('PUT', '/api/state', { state: { some: 'x'.repeat(600_000) } });
      const before = await call('GET', '/api/state');
      expectProblem(await call(method, path, body), 413, code);
      expect((await call('GET', '/api/state')).json).toEqual(before.json);
    });
  });

  it('429: no more than a mebibyte waits for a device, however few messages that are', async () => {
    const large = (id: string) =>
      call('POST', '/api/turn', { message_id: id, content: 'x'.repeat(400_000) });
    for (const [id, status] of Object.entries({ m1: 200, m2: 202 }))
      expect((await large(id)).status).toBe(status);

    expectProblem(await large('m3'), 429, 'rate_limited');

    expect((await call('GET', '/api/device')).json).toMatchObject({ messages: { waiting: 2 } });
  });

  it('503 while Redis cannot be reached, and goes on where it was', async () => {
    entrance.cut();
    expectProblem(await call('GET', '/api/lock'), 503, 'storage_unavailable');
    expectProblem(await say('lost?'), 503, 'storage_unavailable');
    expect((await call('GET', '/api/health')).json).toMatchObject({ status: 'down' });
    entrance.resume();
    expect((await call('GET', '/api/health')).json).toMatchObject({ status: 'ok' });
    const { json } = await say('and now?');
    expect(json).toMatchObject({ persisted: true });
  });
});
