import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type Api, deployed, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { deviceCalls } from './calls.ts';

const device = '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55';
const KEY = 'first-key-of-this-deployment-0001';
const SECOND = 'second-key-of-this-deployment-002';
const SECRET = 'secret-that-signs-device-tokens-1';
const CRON = 'secret-of-the-cron-which-is-long-1';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const unauthorized = [401, 'unauthorized'] as const;

let api: Api;
const started: Api[] = [];

async function start(env: Record<string, string>): Promise<void> {
  api = await startApi(env);
  started.push(api);
}
afterEach(() => api.settled());
afterAll(() => Promise.all(started.map((each) => each.close())));

/** Every device route comes past the door; 409: the turn of the example is nobody's. */
async function mayCall(headers: Record<string, string>): Promise<void> {
  for (const [method, path, options] of deviceCalls) {
    const answer = await api.call(method, path, {
      ...options,
      device: crypto.randomUUID(),
      headers,
    });
    expect([200, 204, 409], `${method} ${path} ${answer.text}`).toContain(answer.status);
    await api.settled();
  }
}

describe('with API_KEYS', () => {
  test('each of the keys opens every device route', async () => {
    await start({ API_KEYS: `${KEY}, ${SECOND}` });

    await mayCall(bearer(KEY));
    await mayCall(bearer(SECOND));
    await mayCall({ authorization: `bearer  ${KEY}` });
  });

  describe('401 unauthorized with WWW-Authenticate: Bearer', () => {
    test.for<readonly [string, Record<string, string>]>([
      ['no credential', {}],
      ['an empty one', { authorization: '' }],
      ['no token', { authorization: 'Bearer' }],
      ['an unknown key', bearer('another-key-of-some-deployment-01')],
      ['the beginning of a key', bearer(KEY.slice(0, -1))],
      ['a key and more', bearer(`${KEY}1`)],
      ['both keys', bearer(`${KEY},${SECOND}`)],
      ['the whole list', bearer(`${KEY}, ${SECOND}`)],
      ['a key in another case', bearer(KEY.toUpperCase())],
      ['a key without a scheme', { authorization: KEY }],
      ['a key in another scheme', { authorization: `Basic ${btoa(`${KEY}:`)}` }],
      ['the secret of the cron', bearer(CRON)],
      ['the secret that signs device tokens', bearer(SECRET)],
    ])('%s', async ([, headers]) => {
      await start({ API_KEYS: `${KEY},${SECOND}`, CRON_SECRET: CRON, DEVICE_TOKEN_SECRET: SECRET });
      for (const [method, path, options] of deviceCalls) {
        const call = [method, path, { ...options, device, headers }] as const;
        const answer = await refuse(api, unauthorized, ...call);

        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
        expect(answer.text).not.toContain(KEY);
      }
    });

    test('who may not call learns nothing of what is wrong with the request', async () => {
      await start({ API_KEYS: KEY });

      await refuse(api, unauthorized, 'GET', '/api/lock', {});
      await refuse(api, unauthorized, 'PUT', '/api/state', {
        device,
        raw: 'no JSON',
        type: 'text/plain',
      });
    });
  });

  test('GET /api/health needs none', async () => {
    await start({ API_KEYS: KEY });

    expect((await api.call('GET', '/api/health')).status).toBe(200);
  });

  test('a key is no proof for the cron and none for the WhatsApp webhook', async () => {
    await start({ API_KEYS: KEY });
    const headers = bearer(KEY);

    await refuse(api, unauthorized, 'GET', '/api/cron/cleanup', { headers });
    await refuse(api, unauthorized, 'POST', '/api/webhooks/whatsapp', { headers, body: {} });
    await refuse(api, [403, 'forbidden'], 'GET', '/api/webhooks/whatsapp', { headers });
  });
});

describe('in open mode (no API_KEYS, not in production)', () => {
  test('every device route is open, with any credential or none, and the log warns once', async () => {
    await start({});

    await mayCall({});
    await mayCall(bearer('whatever'));

    // deployed, each function is an instance of its own
    const instances = deployed ? new Set(deviceCalls.map(([, path]) => path)).size : 1;
    expect(api.events.filter(({ event }) => event === 'open_mode')).toMatchObject(
      Array.from({ length: instances }, () => ({ level: 'warn' })),
    );
  });

  test.for(['preview', 'development', ''])('also where VERCEL_ENV is "%s"', async (env) => {
    await start({ VERCEL_ENV: env });

    await mayCall({});
  });

  test('the cron and the webhook of WhatsApp stay closed', async () => {
    await start({});

    await refuse(api, unauthorized, 'GET', '/api/cron/cleanup', {});
    await refuse(api, unauthorized, 'POST', '/api/webhooks/whatsapp', { body: {} });
    await refuse(
      api,
      [403, 'forbidden'],
      'GET',
      '/api/webhooks/whatsapp?hub.mode=subscribe&hub.challenge=1&hub.verify_token=',
      {},
    );
  });
});

describe('in production', () => {
  test.for<readonly [string, Record<string, string>]>([
    ['neither API_KEYS nor DEVICE_TOKEN_SECRET', {}],
    ['no API_KEYS', { DEVICE_TOKEN_SECRET: SECRET }],
    ['no DEVICE_TOKEN_SECRET', { API_KEYS: KEY }],
    ['empty ones', { API_KEYS: ' , ', DEVICE_TOKEN_SECRET: '' }],
  ])('503 not_configured on every device route: %s', async ([, env]) => {
    await start({ ...env, VERCEL_ENV: 'production' });

    for (const headers of [{}, bearer(KEY), bearer('')]) {
      for (const [method, path, options] of deviceCalls) {
        await refuse(api, [503, 'not_configured'], method, path, { ...options, device, headers });
      }
    }
  });

  test('what carries a proof of its own works without them', async () => {
    await start({ VERCEL_ENV: 'production', CRON_SECRET: CRON });

    expect((await api.call('GET', '/api/health')).status).toBe(200);
    expect((await api.call('GET', '/api/cron/cleanup', { headers: bearer(CRON) })).status).toBe(
      200,
    );
    await refuse(api, unauthorized, 'POST', '/api/webhooks/whatsapp', { body: {} });
  });

  test('with both, a key opens and nothing else does', async () => {
    await start({ VERCEL_ENV: 'production', API_KEYS: KEY, DEVICE_TOKEN_SECRET: SECRET });

    await mayCall(bearer(KEY));
    for (const [method, path, options] of deviceCalls) {
      await refuse(api, unauthorized, method, path, { ...options, device });
    }
  });
});
