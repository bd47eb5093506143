import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, startApi, TIME } from '../support/api.ts';
import { refuse } from '../support/problems.ts';

const KEY = 'a-key-of-this-deployment-00000001';
const SECRET = 'secret-that-signs-device-tokens-1';
const operator = { authorization: `Bearer ${KEY}` };

let api: Api;
beforeAll(async () => {
  api = await startApi({ API_KEYS: KEY, DEVICE_TOKEN_SECRET: SECRET });
});
afterAll(() => api.close());

/** Everything that lies in the database, as text. */
async function everything(): Promise<string> {
  const tables = await api.sql(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`);
  const rows = await Promise.all(
    tables.map(({ tablename }) => api.sql(`SELECT t::text AS text FROM ${String(tablename)} t`)),
  );
  return rows
    .flat()
    .map(({ text }) => String(text))
    .join('\n');
}

/** A device with something of everything, and the words that were said there. */
async function lived(user: string | null = null) {
  const device = randomUUID();
  const word = `canary${device.replaceAll('-', '')}`;
  const call = (method: string, path: string, body?: object) =>
    api.call(method, path, { device, headers: operator, ...(body && { body }) });
  await call('POST', '/api/webhooks/web', {
    message: word,
    message_id: word,
    metadata: { own: word },
  });
  await call('PUT', '/api/state', { state: { word } });
  const begun = await call('POST', '/api/chat/sessions', {
    metadata: { word },
    ...(user !== null && { user_id: user }),
  });
  const { session_id: session } = begun.json as { session_id: string };
  await call('POST', `/api/chat/sessions/${session}/messages`, { message: `${word} again` });
  await call('POST', '/api/turn', { message_id: word, content: word });
  await call('PUT', '/api/lock', { agent: 'billing' });
  return { device, word, session, call };
}

describe('DELETE /api/device', () => {
  test('204: no word of the device is left in any table', async () => {
    const { device, word, call } = await lived();
    expect(await everything()).toContain(word);

    const answer = await call('DELETE', '/api/device');

    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await everything()).not.toContain(word);
    expect((await call('GET', '/api/lock')).json).toEqual({
      device_id: device,
      active_agent: null,
    });
    expect((await call('GET', '/api/state')).json).toEqual({ device_id: device, state: {} });
    await refuse(api, [404, 'device_not_found'], 'GET', '/api/device', {
      device,
      headers: operator,
    });
  });

  test('204: nothing was there, and once more', async () => {
    for (let i = 0; i < 2; i++) {
      const device = randomUUID();
      const answer = await api.call('DELETE', '/api/device', { device, headers: operator });
      expect(answer.status).toBe(204);
    }
  });

  test('200: a receipt with counts, where it is preferred', async () => {
    const { device } = await lived();

    const answer = await api.call('DELETE', '/api/device', {
      device,
      headers: { ...operator, prefer: 'respond-async, return=representation' },
    });

    expect(answer.status).toBe(200);
    expect(answer.headers.get('preference-applied')).toBe('return=representation');
    expect(answer.json).toEqual({
      erased_at: expect.stringMatching(TIME),
      devices: 1,
      shared_devices: 0,
      sessions: 2,
      messages: 5,
      lock_events: expect.any(Number),
      identities: 0,
    });
  });

  test('a receipt stands in the log: ids and counts', async () => {
    const { device, call } = await lived();
    await call('DELETE', '/api/device');
    const line = api.events.findLast(({ event }) => event === 'erased');
    expect(line).toMatchObject({ device_id: device, devices: 1, sessions: 2, messages: 5 });
  });

  test('a message sent again after it is known, and is answered by nobody', async () => {
    const { word, call } = await lived();
    await call('DELETE', '/api/device');

    const web = await call('POST', '/api/webhooks/web', { message: word, message_id: word });
    const turn = await call('POST', '/api/turn', { message_id: word, content: word });

    expect(web.status).toBe(404);
    expect(turn.json).toEqual({ turn: null, duplicate: true });
    expect((await everything()).split(word)).toHaveLength(1);
  });

  test('the person may write again, and begins afresh', async () => {
    const { call } = await lived();
    await call('DELETE', '/api/device');

    const answer = await call('POST', '/api/webhooks/web', { message: 'hello' });

    expect(answer.json).toMatchObject({ active_agent: null, persisted: true });
    const device = await call('GET', '/api/device');
    expect(device.json).toMatchObject({ total_sessions: 1, messages: { user: 1, assistant: 1 } });
  });

  test('409: its id cannot be registered by somebody else, who would share it with the old token', async () => {
    const { device, call } = await lived();
    await call('DELETE', '/api/device');
    await refuse(api, [409, 'device_exists'], 'POST', '/api/device', { device });
  });
});

describe('DELETE /api/chat/users/{user_id}', () => {
  const erase = (user: string) =>
    api.call('DELETE', `/api/chat/users/${encodeURIComponent(user)}`, { headers: operator });

  test('200: every device of the user is erased, and the receipt says how much it was', async () => {
    const user = `mallory/${randomUUID()}@example.com`;
    const lives = [await lived(user), await lived(user)];

    const answer = await erase(user);

    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ devices: 2, shared_devices: 0, sessions: 4 });
    const left = await everything();
    for (const { word } of lives) expect(left).not.toContain(word);
    expect(left).not.toContain(user);
  });

  test('200: nothing is known of the user', async () => {
    expect((await erase(randomUUID())).json).toMatchObject({ devices: 0, messages: 0 });
  });

  test('200: on a device of several, only the user’s own sessions', async () => {
    const [user, other] = [randomUUID(), randomUUID()];
    const { session, call } = await lived(user);
    const second = await call('POST', '/api/chat/sessions', { user_id: other });
    const { session_id: theirs } = second.json as { session_id: string };

    expect((await erase(user)).json).toMatchObject({ devices: 0, shared_devices: 1, sessions: 1 });

    expect((await call('GET', `/api/chat/sessions/${session}`)).status).toBe(404);
    expect((await call('GET', `/api/chat/sessions/${theirs}`)).status).toBe(200);
  });

  test('400: no user, or one that cannot be', async () => {
    for (const path of ['%00', '%ff', 'x'.repeat(256)]) {
      await refuse(api, [400, 'invalid_request'], 'DELETE', `/api/chat/users/${path}`, {
        headers: operator,
      });
    }
  });

  test('403: a device token', async () => {
    const registered = await api.call('POST', '/api/device');
    const { token } = registered.json as { token: string };
    await refuse(api, [403, 'forbidden'], 'DELETE', '/api/chat/users/somebody', {
      headers: { authorization: `Bearer ${token}` },
    });
  });
});
