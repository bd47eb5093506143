import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { until } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { answerOf, begunBy, chat, type Chat, listOf, SESSIONS } from './chat.ts';

const script = scripted();
let api: Api;
let calls: Chat;

beforeAll(async () => {
  api = await startApi({}, { registry: script.registry });
  calls = chat(api);
});
beforeEach(() => script.reset());
afterEach(() => api.settled());
afterAll(() => api.close());

const absent = [404, 'session_not_found'] as const;
/** Everything the database holds, as text. */
const everything = async () => {
  const rows = await api.sql(
    `SELECT (SELECT string_agg(m::text, ' ') FROM chat_messages m) AS messages,
       (SELECT string_agg(c::text, ' ') FROM chat_sessions c) AS sessions,
       (SELECT string_agg(s::text, ' ') FROM conversation_states s) AS states`,
  );
  return JSON.stringify(rows);
};

describe('DELETE 200', () => {
  test('the session is gone with its messages, for every call and from the rows', async () => {
    const id = await calls.open('ann', 'my word is xylophone', 'and my word is swordfish');
    await calls.change(id, { metadata: { note: 'swordfish' } });

    const answer = await calls.remove(id);

    expect([answer.status, answer.json]).toEqual([200, { message: `Session ${id} deleted` }]);
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}`);
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}?include_expired=true`);
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}/history?include_expired=true`);
    await refuse(api, absent, 'POST', `${SESSIONS}/${id}/messages`, { body: { message: 'Hi' } });
    expect(listOf(await calls.list('?user_id=ann&include_expired=true')).total).toBe(0);
    expect(listOf(await calls.list('?q=swordfish&include_expired=true')).total).toBe(0);
    expect(await everything()).not.toMatch(/xylophone|swordfish/);
  });

  test('of one that is over, with include_expired=true', async () => {
    const id = await calls.open('ann', 'Hello');
    await calls.age(id, 3_600);
    await refuse(api, absent, 'DELETE', `${SESSIONS}/${id}`);
    expect((await calls.remove(id, '?include_expired=true')).status).toBe(200);
    await refuse(api, absent, 'GET', `${SESSIONS}/${id}?include_expired=true`);
  });

  test('while an agent is at its answer: the answer never arrives, and the caller learns why', async () => {
    const id = await calls.open('ann');
    const release = script.hold();
    const asked = calls.say(id, 'swordfish');
    await until('the agent is at work', () => Promise.resolve(script.turns.length === 1));

    expect((await calls.remove(id)).status).toBe(200);
    release();

    expectProblem(await asked, 404, 'session_not_found');
    await api.settled();
    expect(await everything()).not.toContain('swordfish');
  });

  test('what waits in the device’s other session is answered', async () => {
    const device = crypto.randomUUID();
    const begin = async () => begunBy(await calls.begin('', undefined, { device })).session_id;
    const [one, two] = [await begin(), await begin()];
    const release = script.hold();
    const asked = calls.say(one, 'in one');
    await until('the agent is at work', () => Promise.resolve(script.turns.length === 1));
    const other = calls.say(two, 'in two');
    await until('the other waits', async () => {
      const rows = await api.sql(`SELECT FROM chat_messages WHERE content = 'in two'`);
      return rows.length === 1;
    });
    script.reset();
    await calls.remove(one);
    expect(answerOf(await other).assistant_response).toBe('re in two');
    release();
    expectProblem(await asked, 404, 'session_not_found');
  });
});

describe('DELETE 404 session_not_found', () => {
  test('the second time, and of what never was', async () => {
    const id = await calls.open('ann');
    await calls.remove(id);
    await refuse(api, absent, 'DELETE', `${SESSIONS}/${id}`);
    await refuse(api, absent, 'DELETE', `${SESSIONS}/${crypto.randomUUID()}`);
    await refuse(api, absent, 'DELETE', `${SESSIONS}/me`);
  });
});
