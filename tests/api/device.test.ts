import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, refuse, startApi, TIME, UUID } from '../support/api.ts';
import { forge, now, partsOf } from '../support/tokens.ts';

const KEY = 'a-key-of-this-deployment-00000001';
const SECRET = 'secret-that-signs-device-tokens-1';
const IDENTITY = 'secret-of-the-identity-provider-1';

const env = {
  API_KEYS: KEY,
  DEVICE_TOKEN_SECRET: SECRET,
  DEVICE_TOKEN_TTL: '3600',
  USER_JWT_SECRET: IDENTITY,
  USER_JWT_ISSUER: 'https://login.example',
  USER_JWT_AUDIENCE: 'shop',
};

interface Registration {
  device_id: string;
  token: string;
  expires_at: string;
  user_id?: string;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const operator = { headers: bearer(KEY) };

const userToken = (sub: string, changes: object = {}) =>
  forge(
    { alg: 'HS256', typ: 'JWT' },
    { iss: 'https://login.example', aud: 'shop', sub, exp: now() + 60, ...changes },
    IDENTITY,
  );

let api: Api;

beforeAll(async () => {
  api = await startApi(env);
});
afterAll(() => api.close());

let address = 0;
/** Each from an address of its own: one address may register only so many. */
async function register(options: CallOptions = {}): Promise<Registration> {
  const headers = { 'x-real-ip': `192.0.2.${++address}`, ...options.headers };
  const answer = await api.call('POST', '/api/device', { ...options, headers });
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  return answer.json as Registration;
}

const as = ({ device_id: device, token }: Registration): CallOptions => ({
  device,
  headers: bearer(token),
});

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

describe('somebody who is logged in', () => {
  test('exchanges the token of the identity provider for a device token that carries the user', async () => {
    const registered = await register({ body: { user_token: userToken('auth0|7') } });

    expect(registered.user_id).toBe('auth0|7');
    expect(partsOf(registered.token).payload).toMatchObject({ user_id: 'auth0|7' });
  });

  test('keeps the device they came with, by its own token; without a user_token nobody is logged in', async () => {
    const registered = await register();

    const loggedIn = await register({ ...as(registered), body: { user_token: userToken('u1') } });
    expect(loggedIn).toMatchObject({ device_id: registered.device_id, user_id: 'u1' });

    const loggedOut = await register(as(loggedIn));
    expect(loggedOut.device_id).toBe(registered.device_id);
    expect(loggedOut).not.toHaveProperty('user_id');
  });

  test('401 unauthorized: a user_token that the provider would not have given', async () => {
    for (const token of [
      'x',
      userToken('u1', { aud: 'warehouse' }),
      userToken('u1', { exp: now() - 1 }),
      forge({ alg: 'none' }, partsOf(userToken('u1')).payload, null),
      forge({ alg: 'HS256' }, partsOf(userToken('u1')).payload, SECRET),
    ]) {
      await refuse(api, [401, 'unauthorized'], 'POST', '/api/device', {
        body: { user_token: token },
      });
    }
  });

  test('their token is no credential by itself, and a device token no user_token', async () => {
    const { device_id: device, token } = await register();

    const headers = bearer(userToken('u1'));
    await refuse(api, [401, 'unauthorized'], 'GET', '/api/lock', { device, headers });
    await refuse(api, [401, 'unauthorized'], 'POST', '/api/device', {
      body: { user_token: token },
    });
  });

  test('begins sessions in their own name only, and lists their own', async () => {
    const device = crypto.randomUUID();
    const anna = await register({ device, body: { user_token: userToken('anna') } });
    const ben = await register({ ...as(anna), body: { user_token: userToken('ben') } });
    const begin = (who: CallOptions, query = '') =>
      api.call('POST', `/api/chat/sessions${query}`, who);
    const list = async (who: CallOptions, query = '') => {
      const answer = await api.call('GET', `/api/chat/sessions${query}`, who);
      const { sessions } = answer.json as { sessions: { user_id: string; device_id: string }[] };
      return sessions.map(({ user_id, device_id }) => [user_id, device_id]);
    };

    expect((await begin(as(anna))).json).toMatchObject({ user_id: 'anna', device_id: device });
    expect((await begin(as(ben), '?user_id=ben')).json).toMatchObject({ user_id: 'ben' });
    await begin({ headers: bearer(KEY), device: crypto.randomUUID() }, '?user_id=anna');

    expect(await list(as(anna))).toEqual([['anna', device]]);
    expect(await list(as(anna), '?user_id=anna&include_expired=true')).toEqual([['anna', device]]);
    expect(await list(as(ben), `?device_id=${device}`)).toEqual([['ben', device]]);
    await refuse(api, [403, 'forbidden'], 'GET', '/api/chat/sessions?user_id=ben', as(anna));
    await refuse(api, [403, 'forbidden'], 'POST', '/api/chat/sessions?user_id=ben', as(anna));
    const other = `/api/chat/sessions?device_id=${crypto.randomUUID()}`;
    await refuse(api, [403, 'wrong_device'], 'GET', other, as(anna));
  });
});

describe('GET /api/device', () => {
  test('200: what is stored about it', async () => {
    const device = crypto.randomUUID();
    const call = { ...operator, device };
    await api.call('POST', '/api/chat/sessions?user_id=u1', call);
    await api.call('POST', '/api/webhooks/web', { ...call, body: { message: 'Hello' } });
    await api.call('PUT', '/api/lock', { ...call, body: { agent: 'support', session_ttl: 60 } });
    await api.call('PUT', '/api/lock', { ...call, body: { agent: 'billing' } });
    await api.call('DELETE', '/api/lock', call);
    await api.call('PUT', '/api/lock', { ...call, body: { agent: 'scheduling' } });
    const state = await api.call('PUT', '/api/state', { ...call, body: { state: { a: 'é' } } });
    await api.call('POST', '/api/turn', { ...call, body: { message_id: 'm', content: 'Hello' } });

    const answer = await api.call('GET', '/api/device', call);

    const time = expect.stringMatching(TIME);
    const lock = await api.call('GET', '/api/lock', call);
    const { device_id: _, ...held } = lock.json as Record<string, unknown>;
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      device_id: device,
      created_at: time,
      updated_at: time,
      lock: held,
      state: {
        version: (state.json as { version: string }).version,
        bytes: Buffer.byteLength('{"a": "é"}'),
        updated_at: time,
      },
      messages: { user: 2, assistant: 1, waiting: 1, failed: 0 },
      total_sessions: 1,
      sessions: [
        {
          session_id: expect.stringMatching(UUID),
          device_id: device,
          user_id: 'u1',
          channel: 'chat',
          metadata: {},
          complete: false,
          message_count: 2,
          created_at: time,
          last_activity: time,
          expires_at: time,
        },
      ],
      lock_events: [
        { agent: 'billing', from: time, to: time, reason: 'cleared' },
        { agent: 'support', from: time, to: time, reason: 'handed_over' },
      ],
    });
  });

  test('of a device that was only registered: nothing but that', async () => {
    const registered = await register();

    const answer = await api.call('GET', '/api/device', as(registered));

    expect(answer.json).toMatchObject({
      lock: null,
      state: null,
      messages: { user: 0, assistant: 0, waiting: 0, failed: 0 },
      total_sessions: 0,
      sessions: [],
      lock_events: [],
    });
  });

  test('to somebody who is logged in it tells of their own sessions', async () => {
    const device = crypto.randomUUID();
    const anna = await register({ device, body: { user_token: userToken('anna') } });
    const ben = await register({ ...as(anna), body: { user_token: userToken('ben') } });
    await api.call('POST', '/api/chat/sessions', as(ben));

    const seen = (who: CallOptions) => api.call('GET', '/api/device', who);
    expect((await seen(as(anna))).json).toMatchObject({ total_sessions: 0, sessions: [] });
    expect((await seen(as(ben))).json).toMatchObject({ total_sessions: 1 });
    expect((await seen({ ...operator, device })).json).toMatchObject({ total_sessions: 1 });
  });

  test('a lapsed lock is none, and a cleared state neither', async () => {
    const device = crypto.randomUUID();
    const call = { ...operator, device };
    await api.call('PUT', '/api/lock', { ...call, body: { agent: 'support' } });
    await api.call('PUT', '/api/state', { ...call, body: { state: {} } });
    await api.call('DELETE', '/api/state', call);
    await api.sql(
      `UPDATE conversation_states SET lock_expires_at = baton_now_v1() WHERE device_id = $1`,
      [device],
    );

    const answer = await api.call('GET', '/api/device', call);

    expect(answer.json).toMatchObject({ lock: null, state: null });
  });

  test('the last hundred sessions and holdings, and how many sessions there are', async () => {
    const device = crypto.randomUUID();
    const call = { ...operator, device };
    await api.call('PUT', '/api/state', { ...call, body: { state: {} } });
    await api.sql(
      `INSERT INTO chat_sessions (session_id, device_id, channel, last_activity, expires_at)
       SELECT gen_random_uuid(), $1, 'chat', now() - n * interval '1 s', now() FROM generate_series(1, 103) n`,
      [device],
    );
    await api.sql(
      `INSERT INTO lock_events (device_id, agent, started_at, ended_at, reason)
       SELECT $1, 'agent-' || n, now(), now(), 'cleared' FROM generate_series(1, 103) n`,
      [device],
    );

    const { json } = await api.call('GET', '/api/device', call);

    const told = json as {
      total_sessions: number;
      sessions: { last_activity: string }[];
      lock_events: { agent: string }[];
    };
    expect(told.total_sessions).toBe(103);
    const activities = told.sessions.map((session) => session.last_activity);
    expect(activities).toHaveLength(100);
    expect(activities).toEqual(activities.toSorted().toReversed());
    expect(told.lock_events.map(({ agent }) => agent)).toEqual(
      Array.from({ length: 100 }, (_, n) => `agent-${103 - n}`),
    );
  });

  test('404 device_not_found: nothing is stored', async () => {
    await refuse(api, [404, 'device_not_found'], 'GET', '/api/device', {
      ...operator,
      device: crypto.randomUUID(),
    });
  });

  test('400 invalid_device_id, 401 unauthorized, 403 wrong_device', async () => {
    const { device_id: device, token } = await register();
    const headers = bearer(token);
    const path = '/api/device';

    await refuse(api, [400, 'invalid_device_id'], 'GET', path, { headers });
    await refuse(api, [401, 'unauthorized'], 'GET', path, { device });
    const other = crypto.randomUUID();
    await refuse(api, [403, 'wrong_device'], 'GET', path, { device: other, headers });
  });
});
