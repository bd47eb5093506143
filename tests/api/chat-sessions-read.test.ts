import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { answerOf as webAnswer } from './web.ts';
import { begunBy, chat, type Chat, lifeOf, SESSIONS, sessionOf } from './chat.ts';

let api: Api;
let calls: Chat;

beforeAll(async () => {
  api = await startApi({ SESSION_TTL: '100', COMPLETED_SESSION_TTL: '1000' });
  calls = chat(api);
});
afterEach(() => api.settled());
afterAll(() => api.close());

const absent = [404, 'session_not_found'] as const;

describe('GET 200', () => {
  test('the session with its metadata, its count and its times', async () => {
    const metadata = { title: 'Parcel', large: 'x'.repeat(10_000) };
    const begun = begunBy(await calls.begin('?user_id=ann', { metadata }));
    await calls.say(begun.session_id, 'Hello');

    const session = sessionOf(await calls.read(begun.session_id));

    const { expires_at: _, ...same } = begun;
    expect(session).toMatchObject({ ...same, metadata, message_count: 2, channel: 'chat' });
    expect(lifeOf(session)).toBe(100);
  });

  test('by its id in whatever case', async () => {
    const id = await calls.open('ann');
    expect(sessionOf(await calls.read(id.toUpperCase())).session_id).toBe(id);
  });

  test('also one that a channel began', async () => {
    const device = crypto.randomUUID();
    const body = { message: 'Hello' };
    const said = webAnswer(await api.call('POST', '/api/webhooks/web', { device, body }));
    expect(sessionOf(await calls.read(said.session_id))).toMatchObject({
      device_id: device,
      channel: 'web',
      user_id: null,
      message_count: 2,
    });
  });

  test('each message and each answer begins its life anew, reading does not', async () => {
    const id = await calls.open('ann');
    await calls.age(id, 90);
    const before = sessionOf(await calls.read(id));
    await calls.history(id);
    expect(sessionOf(await calls.read(id))).toEqual(before);
    await calls.say(id, 'Hello');
    const after = sessionOf(await calls.read(id));
    expect(Date.parse(after.expires_at)).toBeGreaterThan(Date.parse(before.expires_at) + 80_000);
  });

  test('once it is over, with include_expired=true', async () => {
    const id = await calls.open('ann', 'Hello');
    await calls.age(id, 100);
    expect(sessionOf(await calls.read(id, '?include_expired=true')).message_count).toBe(2);
  });
});

describe('GET 404 session_not_found', () => {
  test('unknown, or no id at all', async () => {
    for (const id of [crypto.randomUUID(), 'me', '1', "x'--", '%00', 'a%2Fb'])
      await refuse(api, absent, 'GET', `${SESSIONS}/${id}`);
  });

  test('over: from then on for every call, also while its rows are there', async () => {
    const id = await calls.open('ann', 'Hello');
    await calls.age(id, 100);
    const json = (body: object) => ({ body });
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}`);
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}?include_expired=false`);
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}/history`);
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}/history?format=jsonl`);
    await refuse(api, absent, 'PATCH', `${SESSIONS}/${id}`, json({ metadata: { a: 1 } }));
    await refuse(api, absent, 'POST', `${SESSIONS}/${id}/messages`, json({ message: 'Hello' }));
    await refuse(api, absent, 'DELETE', `${SESSIONS}/${id}`);
  });
});

test('GET 400 invalid_request: include_expired is neither true nor false', async () => {
  const path = `${SESSIONS}/${crypto.randomUUID()}?include_expired=yes`;
  await refuse(api, [400, 'invalid_request'], 'GET', path);
});

test('a device whose session is over gets a new one with its next message, and keeps its lock', async () => {
  const device = crypto.randomUUID();
  const say = async (message: string) =>
    webAnswer(await api.call('POST', '/api/webhooks/web', { device, body: { message } }));
  const first = await say('I would like to book an appointment');
  const lock = (await api.call('GET', '/api/lock', { device })).json;
  await calls.age(first.session_id, 100);
  const read = (await api.call('GET', '/api/lock', { device })).json;
  expect(read).toEqual(lock);

  const second = await say('a haircut');

  expect(second.session_id).not.toBe(first.session_id);
  expect(second.replies.map(({ agent }) => agent)).toEqual(['scheduling']);
});
