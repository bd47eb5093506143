import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { answerOf as webAnswer } from './web.ts';
import { begunBy, chat, type Chat, lifeOf, SESSIONS, sessionOf } from './chat.ts';

let api: Api;
let calls: Chat;
let id: string;

beforeAll(async () => {
  api = await startApi();
  calls = chat(api);
});
beforeEach(async () => {
  id = await calls.open('ann');
});
afterEach(() => api.settled());
afterAll(() => api.close());

describe('PATCH 200', () => {
  test('metadata merges (RFC 7396), and what is written comes back', async () => {
    await calls.change(id, { metadata: { a: { b: 1, c: 2 }, d: 3 } });
    const answer = await calls.change(id, { metadata: { a: { b: null }, d: null, e: [null] } });

    expect(sessionOf(answer).metadata).toEqual({ a: { c: 2 }, e: [null] });
    expect((await calls.read(id)).json).toEqual(answer.json);
  });

  test('parallel patches of different keys all survive', async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    await Promise.all(keys.map((key) => calls.change(id, { metadata: { [key]: 1 } })));
    const { metadata } = sessionOf(await calls.read(id));
    expect(Object.keys(metadata ?? {}).toSorted()).toEqual(keys.toSorted());
  });

  test('nothing to change is no mistake, and is a sign of life', async () => {
    await calls.age(id, 3_000);
    const session = sessionOf(await calls.change(id, {}));
    expect(session.metadata).toEqual({});
    expect(Date.parse(session.expires_at)).toBeGreaterThan(Date.now() + 3_000_000);
  });

  test('complete ends it: it lives a day longer and takes no message', async () => {
    const session = sessionOf(await calls.change(id, { complete: true, metadata: { rated: 5 } }));
    expect(session).toMatchObject({ complete: true, metadata: { rated: 5 } });
    expect(lifeOf(session)).toBe(86_400);
    expectProblem(await calls.say(id, 'one more thing'), 409, 'session_complete');
    expect(sessionOf(await calls.change(id, { complete: true })).complete).toBe(true);
    expect(sessionOf(await calls.change(id, { metadata: { a: 1 } })).complete).toBe(true);
  });

  test('its device speaks in a new one from then on', async () => {
    const device = crypto.randomUUID();
    const mine = begunBy(await calls.begin('', undefined, { device })).session_id;
    await calls.change(mine, { complete: true });
    const said = await api.call('POST', '/api/webhooks/web', { device, body: { message: 'Hi' } });
    expect(webAnswer(said).session_id).not.toBe(mine);
  });
});

describe('PATCH 400', () => {
  test.for([
    [{ metadata: [] }, 'metadata'],
    [{ metadata: null }, 'metadata'],
    [{ complete: false }, 'complete'],
    [{ complete: 'true' }, 'complete'],
  ] as const)('invalid_request: %j', async ([body, path]) => {
    const call = ['PATCH', `${SESSIONS}/${id}`, { body }] as const;
    const { problem } = await refuse(api, [400, 'invalid_request'], ...call);
    expect(problem.errors?.map((error) => error.path)).toEqual([path]);
  });

  test('unstorable_text', async () => {
    const body = { metadata: { 'a\u0000': 1 } };
    await refuse(api, [400, 'unstorable_text'], 'PATCH', `${SESSIONS}/${id}`, { body });
  });

  test('invalid_json', async () => {
    await refuse(api, [400, 'invalid_json'], 'PATCH', `${SESSIONS}/${id}`, { raw: '' });
  });
});

test('PATCH 404 session_not_found', async () => {
  const path = `${SESSIONS}/${crypto.randomUUID()}`;
  await refuse(api, [404, 'session_not_found'], 'PATCH', path, { body: { complete: true } });
});

test('PATCH 415 unsupported_media_type: the body is no merge patch of the session itself', async () => {
  const call = { body: { metadata: {} }, type: 'application/merge-patch+json' };
  await refuse(api, [415, 'unsupported_media_type'], 'PATCH', `${SESSIONS}/${id}`, call);
});
