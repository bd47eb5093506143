import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { type Api, type CallOptions, startApi } from '../support/api.ts';
import { message, terms } from '../support/storage.ts';
import { scripted } from './scripted.ts';

// Whoever calls picks up what somebody else let fall, whatever the answer to their own call is.

const KEY = 'the-api-key-of-the-operators-is-long';
const operator = { authorization: `Bearer ${KEY}` };
const script = scripted();
let api: Api;

beforeAll(async () => {
  const env = { API_KEYS: KEY, TURN_LEASE: '800' };
  api = await startApi(env, { registry: script.registry, sweeps: true });
});
beforeEach(() => script.reset());
afterAll(() => api.close());

/** A message that nobody is at work on. */
async function letFall(): Promise<DeviceId> {
  const device = crypto.randomUUID() as DeviceId;
  await api.app.storage.accept([message(device)], terms({ maxTurns: 0 }));
  return device;
}

const statusOf = (device: DeviceId) =>
  api.sql(`SELECT status FROM chat_messages WHERE device_id = $1 AND role = 'user'`, [device]);

test.each<[number, string, string, Omit<CallOptions, 'headers'>]>([
  [200, 'GET', '/api/lock', {}],
  [404, 'GET', `/api/chat/sessions/${crypto.randomUUID()}`, {}],
  [404, 'GET', '/api/device', {}],
  [409, 'PUT', '/api/turn', { body: { token: '1', replies: [] } }],
  [400, 'PUT', '/api/state', { raw: 'no JSON' }],
])('after a %i: %s %s', async (status, method, path, options) => {
  const device = await letFall();
  const headers = { ...operator, 'content-type': 'application/json' };

  const answer = await api.call(method, path, { device: crypto.randomUUID(), headers, ...options });
  await api.settled();

  expect(answer.status).toBe(status);
  expect(await statusOf(device)).toEqual([{ status: 'answered' }]);
});

test('but nobody who may not call at all makes Baton work', async () => {
  const device = await letFall();

  const answer = await api.call('GET', '/api/lock', { device: crypto.randomUUID() });
  await api.settled();

  expect(answer.status).toBe(401);
  expect(await statusOf(device)).toEqual([{ status: 'waiting' }]);
});

test('a turn is taken for no longer than the function has left, however long TURN_LEASE is', async () => {
  const leases: number[] = [];
  script.play(async (turn) => {
    const [row] = await api.sql(
      `SELECT extract(epoch FROM max(turn_expires_at) - clock_timestamp())::float8 AS seconds FROM conversation_states`,
    );
    leases.push(Number(row?.['seconds']));
    turn.reply('done');
  });
  const said = { headers: operator, device: crypto.randomUUID(), body: { message: 'hello' } };

  expect((await api.call('POST', '/api/webhooks/web', said)).status).toBe(200);
  await letFall();
  await api.call('GET', '/api/lock', { headers: operator, device: crypto.randomUUID() });
  await api.settled();

  expect(leases.length).toBeGreaterThan(1);
  for (const seconds of leases) {
    expect(seconds).toBeGreaterThan(60);
    expect(seconds).toBeLessThan(300);
  }
});
