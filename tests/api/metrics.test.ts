import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createCountWriter } from '../../lib/counters.ts';
import { signDeviceToken } from '../../lib/access/device-tokens.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { type Answer, type Api, deployed, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { worker } from './turns.ts';

const KEY = 'key-of-an-operator-which-is-long-1';
const SECRET = 'secret-that-signs-device-tokens-1';
const CRON = 'secret-of-the-cron-which-is-long-1';

let api: Api;

beforeAll(async () => {
  api = await startApi({ CRON_SECRET: CRON });
});
afterEach(() => api.settled());
afterAll(() => api.close());

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** A sample of the text, by its name with its labels. */
const sample = ({ text }: Answer, name: string) =>
  text
    .split('\n')
    .find((line) => line.startsWith(`${name} `))
    ?.slice(name.length + 1);

const say = (message: string, device: string = crypto.randomUUID()) =>
  api.call('POST', '/api/webhooks/web', { device, body: { message } });

describe('GET /api/metrics', () => {
  test('200: the families of the contract, as text that Prometheus reads', async () => {
    await say('I would like to book an appointment');
    await worker(api, crypto.randomUUID()).submit('m1');
    const answer = await api.call('GET', '/api/metrics');

    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    for (const family of [
      'active_locks',
      'lock_age_seconds',
      'sessions',
      'waiting_messages',
      'failed_messages',
      'turns_total',
      'replies',
      'expired_total',
      'errors_total',
      'cache_total',
      'session_bytes',
    ]) {
      expect(answer.text).toMatch(new RegExp(`^# TYPE baton_${family} `, 'm'));
    }
    expect(sample(answer, 'baton_active_locks{agent="scheduling"}')).toBe('1');
    expect(sample(answer, 'baton_lock_age_seconds_count')).toBe('1');
    expect(sample(answer, 'baton_sessions{state="active"}')).toBe('2');
    expect(sample(answer, 'baton_replies{status="sent"}')).toBe('1');
    expect(sample(answer, 'baton_waiting_messages')).toBe('1');
    expect(sample(answer, 'baton_failed_messages')).toBe('0');
  });

  // a deployment writes its counts where this test does not turn it off; there each function counts for itself
  test.skipIf(deployed)(
    'what the instances count adds up: turns, errors, what expired',
    async () => {
      const writes = await startApi(
        { CRON_SECRET: CRON },
        { writeCounts: () => createCountWriter(writes.app.storage)() },
      );
      try {
        const device = crypto.randomUUID();
        await writes.call('POST', '/api/webhooks/web', { device, body: { message: 'Hello' } });
        await writes.call('GET', '/api/nowhere');
        await writes.call('PUT', '/api/lock', { device, body: { agent: 'support' } });
        await writes.sql(
          `UPDATE conversation_states SET lock_expires_at = lock_expires_at - interval '2 days'`,
        );
        await writes.call('GET', '/api/cron/cleanup', bearer(CRON));
        await writes.settled();

        const answer = await writes.call('GET', '/api/metrics');
        expect(Number(sample(answer, 'baton_turns_total{outcome="answered"}'))).toBeGreaterThan(0);
        expect(Number(sample(answer, 'baton_errors_total{code="not_found"}'))).toBeGreaterThan(0);
        expect(sample(answer, 'baton_expired_total{kind="lock"}')).toBe('1');
        expect(sample(answer, 'baton_cleanups_total{outcome="complete"}')).toBe('1');
        const ago = Date.now() / 1_000 - Number(sample(answer, 'baton_cleanup_timestamp_seconds'));
        expect(Math.abs(ago)).toBeLessThan(60);
      } finally {
        await writes.close();
      }
    },
  );

  test('503 storage_unavailable while the database is away', async () => {
    const away = await startApi();
    try {
      away.wire.cut();
      await refuse(away, [503, 'storage_unavailable'], 'GET', '/api/metrics', {});
    } finally {
      await away.close();
    }
  });
});

describe('GET /api/chat/stats', () => {
  test('200: what was going on, for seven days if nothing is said', async () => {
    const device = crypto.randomUUID();
    await say('What about my invoice?', device);
    await api.call('PUT', '/api/lock', { device, body: { agent: 'scheduling' } });
    const answer = await api.call('GET', '/api/chat/stats');

    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({
      active_locks: [{ agent: 'scheduling', count: 2 }],
      holdings: [{ agent: 'billing', count: 1 }],
      hand_overs: [{ from: 'billing', to: 'scheduling', count: 1 }],
      sessions: { created: 3, active: 3, complete: 0, expired: 0, over_1mb: 0 },
      messages: { waiting: 1, failed: 0, per_day: [{ user: 3, assistant: 2 }] },
      answers: { count: 2 },
      errors: [],
    });
    const { since, until } = answer.json as { since: string; until: string };
    expect(Date.parse(until) - Date.parse(since)).toBe(7 * 86_400_000);
  });

  test.for([
    ['a time', '2026-11-01T12:00:00Z', '2026-11-01T12:00:00.000Z'],
    ['a time elsewhere', '2026-11-01T12:00:00%2B02:00', '2026-11-01T10:00:00.000Z'],
    ['a day', '2026-11-01', '2026-11-01T00:00:00.000Z'],
  ])('since %s', async ([, since, meant]) => {
    const { json } = await api.call('GET', `/api/chat/stats?since=${since}`);
    expect(json).toMatchObject({ since: meant });
  });

  test('since a time to come there is nothing', async () => {
    const { json } = await api.call('GET', '/api/chat/stats?since=2999-01-01');
    expect(json).toMatchObject({
      holdings: [],
      sessions: { created: 0 },
      messages: { per_day: [] },
      answers: { count: 0, median_seconds: null, p95_seconds: null },
    });
  });

  test.for(['', 'yesterday', '1795233906', '2026-13-01', '2026-11-01T12:00:00'])(
    '400 invalid_request: since=%s',
    async (since) => {
      const path = `/api/chat/stats?since=${since}`;
      await refuse(api, [400, 'invalid_request'], 'GET', path, {});
    },
  );
});

describe.each(['/api/metrics', '/api/chat/stats'])('%s is for operators', (path) => {
  let closed: Api;
  beforeAll(async () => {
    closed = await startApi({ API_KEYS: KEY, DEVICE_TOKEN_SECRET: SECRET, CRON_SECRET: CRON });
  });
  afterAll(() => closed.close());

  test('200 with an API key', async () => {
    expect((await closed.call('GET', path, bearer(KEY))).status).toBe(200);
  });

  test('403 forbidden with a device token', async () => {
    const device = crypto.randomUUID() as DeviceId;
    const { token } = await signDeviceToken(closed.app.config, { device, user: null });
    await refuse(closed, [403, 'forbidden'], 'GET', path, bearer(token));
  });

  test.for([
    ['no credential', {}],
    ['the secret of the cron', bearer(CRON)],
  ] as const)('401 unauthorized with %s', async ([, options]) => {
    await refuse(closed, [401, 'unauthorized'], 'GET', path, options);
  });

  test('405 for anything but GET and HEAD', async () => {
    await refuse(closed, [405, 'method_not_allowed'], 'POST', path, bearer(KEY));
    const head = await closed.call('HEAD', path, bearer(KEY));
    expect([head.status, head.text]).toEqual([200, '']);
  });
});
