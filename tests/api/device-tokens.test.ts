import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { badTokens } from '../support/tokens.ts';
import { deviceCalls } from './calls.ts';

const KEY = 'a-key-of-this-deployment-00000001';
const SECRET = 'secret-that-signs-device-tokens-1';
const OLDER = 'secret-that-signed-tokens-before-1';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const unauthorized = [401, 'unauthorized'] as const;

interface Registration {
  device_id: string;
  token: string;
}

let api: Api;
let mine: Registration;
let theirs: Registration;

async function register(at: Api): Promise<Registration> {
  return (await at.call('POST', '/api/device')).json as Registration;
}

beforeAll(async () => {
  const env = { API_KEYS: KEY, DEVICE_TOKEN_SECRET: SECRET, VERCEL_ENV: 'production' };
  api = await startApi(env);
  mine = await register(api);
  theirs = await register(api);
});
afterAll(() => api.close());

describe('a device token', () => {
  test('opens every device route for its own device', async () => {
    for (const [method, path, options] of deviceCalls) {
      const { device_id: device, token } = await register(api);
      const answer = await api.call(method, path, { ...options, device, headers: bearer(token) });
      // 409: the turn of the example is nobody's
      expect([200, 204, 409], `${method} ${path} ${answer.text}`).toContain(answer.status);
      await api.settled();
    }
  });

  test('403 wrong_device on every one of them for any other device, whether it exists or not', async () => {
    for (const device of [theirs.device_id, crypto.randomUUID()]) {
      const told = new Set<string>();
      for (const [method, path, options] of deviceCalls) {
        const call = { ...options, device, headers: bearer(mine.token) };
        const { problem } = await refuse(api, [403, 'wrong_device'], method, path, call);
        told.add(problem.detail);
      }
      expect(told.size).toBe(1);
    }
  });

  test('400 invalid_device_id on every one of them without X-Device-ID', async () => {
    for (const [method, path, options] of deviceCalls) {
      const call = { ...options, headers: bearer(mine.token) };
      await refuse(api, [400, 'invalid_device_id'], method, path, call);
    }
  });

  test.for<[string, string]>([
    ['GET', '/api/turn?failed=true'],
    ['POST', '/api/turn?failed=true'],
  ])('403 forbidden: %s %s is for operators', async ([method, path]) => {
    const headers = bearer(mine.token);

    await refuse(api, [403, 'forbidden'], method, path, { headers });
    await refuse(api, unauthorized, method, path, {});
    expect((await api.call(method, path, { headers: bearer(KEY) })).status).toBe(200);
  });

  test('reaches the sessions of its own device, and to no other it is any different from none', async () => {
    const begun = await api.call('POST', '/api/chat/sessions', { headers: bearer(theirs.token) });
    const { session_id: id, device_id: device } = begun.json as {
      session_id: string;
      device_id: string;
    };
    expect(device).toBe(theirs.device_id);

    const calls: readonly (readonly [string, string, CallOptions])[] = [
      ['GET', '', {}],
      ['PATCH', '', { body: { complete: true } }],
      ['DELETE', '', {}],
      ['POST', '/messages', { body: { message: 'Hello' } }],
      ['GET', '/history', {}],
      ['GET', '/history?format=csv', {}],
      ['GET', '?include_expired=true', {}],
    ];
    for (const [method, rest, options] of calls) {
      const as = { ...options, headers: bearer(mine.token) };
      const notMine = await refuse(
        api,
        [404, 'session_not_found'],
        method,
        `/api/chat/sessions/${id}${rest}`,
        as,
      );
      const absent = `/api/chat/sessions/${crypto.randomUUID()}${rest}`;
      const nobodys = await refuse(api, [404, 'session_not_found'], method, absent, as);
      expect(notMine.problem).toEqual(nobodys.problem);
    }
    const own = await api.call('GET', `/api/chat/sessions/${id}`, {
      headers: bearer(theirs.token),
    });
    expect(own.status).toBe(200);
  });

  test('does not reach a session that is over, which an API key does', async () => {
    const begun = await api.call('POST', '/api/chat/sessions', { headers: bearer(mine.token) });
    const { session_id: id } = begun.json as { session_id: string };
    await api.sql('UPDATE chat_sessions SET expires_at = now() WHERE session_id = $1', [id]);
    const path = `/api/chat/sessions/${id}?include_expired=true`;

    await refuse(api, [404, 'session_not_found'], 'GET', path, { headers: bearer(mine.token) });
    expect((await api.call('GET', path, { headers: bearer(KEY) })).status).toBe(200);
  });
});

describe('401 unauthorized', () => {
  test('a token that is wrong in any way, on every device route', async () => {
    for (const [fault, token] of badTokens(mine.token, SECRET)) {
      const call = { device: mine.device_id, headers: bearer(token) };
      await refuse(api, unauthorized, 'GET', '/api/state', call).catch((error: unknown) => {
        throw new Error(`${fault} was not refused`, { cause: error });
      });
    }
    const [[, none] = ['', '']] = badTokens(mine.token, SECRET);
    for (const [method, path, options] of deviceCalls) {
      const call = { ...options, device: mine.device_id, headers: bearer(none) };
      await refuse(api, unauthorized, method, path, call);
    }
  });

  test('a token under a secret that was rotated out; while it is in the ring, it opens', async () => {
    const before = await startApi({ API_KEYS: KEY, DEVICE_TOKEN_SECRET: OLDER });
    const rotating = await startApi({ API_KEYS: KEY, DEVICE_TOKEN_SECRET: `${SECRET},${OLDER}` });
    const after = await startApi({ API_KEYS: KEY, DEVICE_TOKEN_SECRET: SECRET });
    try {
      const { device_id: device, token } = await register(before);
      const call = { device, headers: bearer(token) };

      expect((await rotating.call('GET', '/api/lock', call)).status).toBe(200);
      await refuse(after, unauthorized, 'GET', '/api/lock', call);

      const renewed = await rotating.call('POST', '/api/device', { headers: bearer(token) });
      const { token: fresh } = renewed.json as Registration;
      const answer = await after.call('GET', '/api/lock', { device, headers: bearer(fresh) });
      expect(answer.status).toBe(200);
    } finally {
      await Promise.all([before.close(), rotating.close(), after.close()]);
    }
  });

  test('every refusal asks for a bearer, and says what to send', async () => {
    const call = { device: mine.device_id, headers: bearer(`${mine.token}x`) };
    const { headers, problem } = await refuse(api, unauthorized, 'GET', '/api/lock', call);

    expect(headers.get('www-authenticate')).toBe('Bearer');
    expect(problem.detail).toContain('POST /api/device');
  });
});
