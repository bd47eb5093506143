import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Api, startApi, UUID } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { answerOf as webAnswer } from './web.ts';
import { begunBy, chat, type Chat, lifeOf, SESSIONS, sessionOf } from './chat.ts';

let api: Api;
let calls: Chat;

beforeAll(async () => {
  api = await startApi();
  calls = chat(api);
});
afterEach(() => api.settled());
afterAll(() => api.close());

const bad = [400, 'invalid_request'] as const;

describe('POST 201', () => {
  test('without a body and a device the session gets a device of its own', async () => {
    const one = begunBy(await calls.begin('?user_id=test'));
    const two = begunBy(await calls.begin('?user_id=test'));

    expect(one.user_id).toBe('test');
    expect(new Set([one.device_id, two.device_id, one.session_id, two.session_id]).size).toBe(4);
    expect(Date.parse(one.expires_at) - Date.parse(one.created_at)).toBe(3_600_000);
  });

  test('a body names the user, the metadata and how long it lives', async () => {
    const metadata = { title: 'Ünïcode 🙂', nested: { a: [1, null] } };
    const answer = await calls.begin('', { user_id: 'ann', metadata, session_ttl: 60 });

    const { session_id: id, ...begun } = begunBy(answer);
    const session = sessionOf(await calls.read(id));
    expect(session).toMatchObject({ ...begun, metadata, complete: false, message_count: 0 });
    expect(lifeOf(session)).toBe(60);
  });

  test('the body’s user goes before the query’s', async () => {
    expect(begunBy(await calls.begin('?user_id=query', { user_id: 'body' })).user_id).toBe('body');
  });

  test('nobody needs to be named, and an empty object says nothing', async () => {
    expect(begunBy(await calls.begin('', {})).user_id).toBeNull();
    expect(begunBy(await calls.begin()).user_id).toBeNull();
  });

  test('of a device it becomes the one the device speaks in; its lock and its state stay', async () => {
    const device = crypto.randomUUID();
    await api.call('PUT', '/api/lock', { device, body: { agent: 'scheduling', session_ttl: 60 } });
    const lock = (await api.call('GET', '/api/lock', { device })).json;

    const begun = begunBy(await calls.begin('', undefined, { device: device.toUpperCase() }));

    expect(begun.device_id).toBe(device);
    expect((await api.call('GET', '/api/lock', { device })).json).toEqual(lock);
    const said = await api.call('POST', '/api/webhooks/web', {
      device,
      body: { message: 'a cut' },
    });
    expect(webAnswer(said)).toMatchObject({
      session_id: begun.session_id,
      active_agent: 'scheduling',
    });
  });

  test.for(['ann', 'ann@example.com', 'Ünïcode', 'a b', '‮', 'x'.repeat(255), '%'])(
    'a user may be called %j',
    async (user) => {
      const begun = begunBy(await calls.begin(`?user_id=${encodeURIComponent(user)}`));
      expect(begun.user_id).toBe(user);
      expect(begun.session_id).toMatch(UUID);
    },
  );
});

describe('POST 400', () => {
  test.for([
    ['an empty user', '?user_id='],
    ['a user of 256 characters', `?user_id=${'x'.repeat(256)}`],
    ['U+0000 in the user', '?user_id=a%00b'],
  ] as const)('invalid_request: %s', async ([, query]) => {
    await refuse(api, bad, 'POST', SESSIONS + query);
  });

  test.for([
    [{ user_id: 7 }, 'user_id'],
    [{ user_id: '\ud800' }, 'user_id'],
    [{ metadata: [] }, 'metadata'],
    [{ metadata: null }, 'metadata'],
    [{ session_ttl: 0 }, 'session_ttl'],
    [{ session_ttl: 1.5 }, 'session_ttl'],
    [{ session_ttl: '60' }, 'session_ttl'],
    [{ session_ttl: 2_592_001 }, 'session_ttl'],
  ] as const)('invalid_request: %j', async ([body, path]) => {
    const { problem } = await refuse(api, bad, 'POST', SESSIONS, { body });
    expect(problem.errors?.map((error) => error.path)).toEqual([path]);
  });

  test('invalid_request: metadata nested too deep', async () => {
    const deep = JSON.parse(`${'{"a":'.repeat(101)}1${'}'.repeat(101)}`) as object;
    await refuse(api, bad, 'POST', SESSIONS, { body: { metadata: deep } });
  });

  test('unstorable_text: U+0000 in the metadata', async () => {
    const body = { metadata: { a: 'b\u0000' } };
    await refuse(api, [400, 'unstorable_text'], 'POST', SESSIONS, { body });
  });

  test('invalid_device_id: a device that is none', async () => {
    await refuse(api, [400, 'invalid_device_id'], 'POST', SESSIONS, { device: 'me' });
  });

  test('invalid_json: a body that is none', async () => {
    await refuse(api, [400, 'invalid_json'], 'POST', SESSIONS, { raw: '{"user_id":' });
  });
});

test('POST 413 body_too_large', async () => {
  const raw = JSON.stringify({ metadata: {} }).padEnd(1_048_577);
  await refuse(api, [413, 'body_too_large'], 'POST', SESSIONS, { raw });
});

test('POST 415 unsupported_media_type: a form, as curl -d sends it', async () => {
  const form = { raw: 'user_id=test', type: 'application/x-www-form-urlencoded' };
  await refuse(api, [415, 'unsupported_media_type'], 'POST', SESSIONS, form);
});
