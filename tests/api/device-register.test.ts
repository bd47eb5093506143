import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, startApi, TIME, UUID } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { partsOf } from '../support/tokens.ts';
import { as, bearer, env, KEY, operator, registering, type Registration } from './devices.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi(env);
});
afterAll(() => api.close());
const register = registering(() => api);

describe('POST /api/device', () => {
  test('201: a new device, a token for it, and when that ends; no credential is needed', async () => {
    const registered = await register();

    expect(registered).toEqual({
      device_id: expect.stringMatching(UUID),
      token: expect.any(String),
      expires_at: expect.stringMatching(TIME),
    });
    const life = Date.parse(registered.expires_at) - Date.now();
    expect(Math.abs(life - 3_600_000)).toBeLessThan(10_000);
    expect((await api.call('GET', '/api/lock', as(registered))).json).toEqual({
      device_id: registered.device_id,
      active_agent: null,
    });
  });

  test('each call gives another device', async () => {
    expect((await register()).device_id).not.toBe((await register()).device_id);
  });

  test('keeps a device of the caller’s own of which nothing is known, in lower case', async () => {
    const device = crypto.randomUUID();

    const registered = await register({ device: device.toUpperCase() });

    expect(registered.device_id).toBe(device);
    expect(partsOf(registered.token).payload).toMatchObject({ sub: device });
  });

  describe('409 device_exists', () => {
    const exists = [409, 'device_exists'] as const;

    test('it was registered before', async () => {
      const { device_id: device } = await register();

      await refuse(api, exists, 'POST', '/api/device', { device });
      await refuse(api, exists, 'POST', '/api/device', { ...operator, device });
    });

    test.for<[string, string, string, CallOptions]>([
      ['a lock', 'PUT', '/api/lock', { body: { agent: 'support' } }],
      ['a state', 'PUT', '/api/state', { body: { state: {} } }],
      ['a message', 'POST', '/api/webhooks/web', { body: { message: 'Hello' } }],
      ['a turn', 'POST', '/api/turn', { body: { message_id: 'm', content: 'Hello' } }],
      ['a session', 'POST', '/api/chat/sessions', {}],
    ])('it has %s', async ([, method, path, options]) => {
      const device = crypto.randomUUID();
      await api.call(method, path, { ...options, ...operator, device });

      await refuse(api, exists, 'POST', '/api/device', { device });
    });

    test('of twenty who ask for the same device at once one gets it', async () => {
      const device = crypto.randomUUID();

      const answers = await Promise.all(
        Array.from({ length: 20 }, () => api.call('POST', '/api/device', { device })),
      );

      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    });
  });

  test('the device’s own token gets a new one for it, which nothing is written for', async () => {
    const registered = await register();
    const before = await api.stored();

    const renewed = await register(as(registered));

    expect(renewed.device_id).toBe(registered.device_id);
    expect((await api.call('GET', '/api/lock', as(renewed))).status).toBe(200);
    expect(await api.stored()).toEqual(before);
    expect(await register({ headers: bearer(registered.token) })).toMatchObject({
      device_id: registered.device_id,
    });
  });

  test('403 wrong_device: the token is of another device than X-Device-ID', async () => {
    const { token } = await register();

    await refuse(api, [403, 'wrong_device'], 'POST', '/api/device', {
      device: crypto.randomUUID(),
      headers: bearer(token),
    });
  });

  test('401 unauthorized: a credential that is sent must be good', async () => {
    const { token } = await register();
    for (const headers of [bearer('x'), bearer(`${token}x`), { authorization: 'Basic eA==' }]) {
      await refuse(api, [401, 'unauthorized'], 'POST', '/api/device', { headers });
    }
  });

  test.for<[string, number, string, CallOptions]>([
    ['X-Device-ID is none', 400, 'invalid_device_id', { device: 'me' }],
    ['the body is no JSON', 400, 'invalid_json', { raw: '{' }],
    [
      'the body is of another type',
      415,
      'unsupported_media_type',
      { raw: 'a=b', type: 'text/plain' },
    ],
    ['the user_token is empty', 400, 'invalid_request', { body: { user_token: '' } }],
    ['the user_token is a number', 400, 'invalid_request', { body: { user_token: 7 } }],
    [
      'the user_token is longer than any',
      400,
      'invalid_request',
      { body: { user_token: 'x'.repeat(16_385) } },
    ],
  ])('is refused where %s', async ([, status, code, options]) => {
    await refuse(api, [status, code], 'POST', '/api/device', options);
  });

  test('429 rate_limited with Retry-After: one address registers fifty in thirty seconds', async () => {
    const busy = await startApi(env);
    try {
      const from = (ip: string) =>
        busy.call('POST', '/api/device', { headers: { 'x-real-ip': ip } });
      const answers = [];
      for (let i = 0; i < 50; i++) answers.push(await from('2001:db8:1:2::1'));
      expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(201));

      const headers = { 'x-real-ip': '2001:db8:1:2:ffff::7' };
      const refused = await refuse(busy, [429, 'rate_limited'], 'POST', '/api/device', { headers });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(30);
      expect((await from('2001:db8:1:3::1')).status).toBe(201);
    } finally {
      await busy.close();
    }
  });

  test('503 not_configured: there is no secret to sign with', async () => {
    const unset = await startApi({ API_KEYS: KEY });
    try {
      await refuse(unset, [503, 'not_configured'], 'POST', '/api/device', {});
    } finally {
      await unset.close();
    }
  });

  test('in open mode without a secret it works all the same', async () => {
    const open = await startApi();
    try {
      const answer = await open.call('POST', '/api/device');
      expect(answer.status).toBe(201);
      const { device_id: device, token } = answer.json as Registration;
      const call = { device, headers: bearer(token) };
      expect((await open.call('GET', '/api/lock', call)).status).toBe(200);
    } finally {
      await open.close();
    }
  });
});
