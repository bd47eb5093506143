import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, startApi, TIME, UUID } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { as, bearer, env, operator, registering, userToken } from './devices.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi(env);
});
afterAll(() => api.close());
const register = registering(() => api);

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
        bytes: Buffer.byteLength('{"a":"é"}'),
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

  test('a lapsed lock is none but a holding that has ended, and a cleared state neither', async () => {
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

    expect(answer.json).toMatchObject({
      lock: null,
      state: null,
      lock_events: [{ agent: 'support', reason: 'expired' }],
    });
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
