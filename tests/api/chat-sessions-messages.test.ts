import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi, UUID } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { until, within } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { answerOf, begunBy, chat, type Chat, historyOf, SESSIONS, sessionOf } from './chat.ts';

const script = scripted();
let api: Api;
let calls: Chat;
let id: string;

beforeAll(async () => {
  api = await startApi({ REPLY_WAIT: '3', MAX_ATTEMPTS: '1' }, { registry: script.registry });
  calls = chat(api);
});
beforeEach(async () => {
  script.reset();
  id = await calls.open('ann');
});
afterEach(async () => {
  api.wire.resume();
  await api.settled();
});
afterAll(() => api.close());

const working = (turns = 1) =>
  until('the agent is at work', () => Promise.resolve(script.turns.length === turns));

describe('POST 200', () => {
  test('the answer, who gave it and how long it took', async () => {
    const answer = answerOf(await calls.say(id, 'Hello!', 'm1', { from: 'page' }));

    expect(answer).toMatchObject({
      session_id: id,
      message_id: 'm1',
      user_message: 'Hello!',
      assistant_response: 're Hello!',
      agent: 'manager',
      sources: [],
    });
    expect(historyOf(await calls.history(id)).messages).toMatchObject([
      { role: 'user', content: 'Hello!', metadata: { from: 'page' } },
      { role: 'assistant', content: 're Hello!' },
    ]);
    expect(sessionOf(await calls.read(id)).message_count).toBe(2);
  });

  test('several replies are paragraphs, and the sources of all of them are named', async () => {
    script.play((turn) => {
      turn.reply('one', { sources: ['a', { url: 'https://b.example' }] });
      turn.reply('two', { sources: 'none' });
      turn.reply('three', { sources: ['c'] });
    });
    expect(answerOf(await calls.say(id, 'Hello'))).toMatchObject({
      assistant_response: 'one\n\ntwo\n\nthree',
      sources: ['a', { url: 'https://b.example' }, 'c'],
    });
  });

  test('a message without an id gets one', async () => {
    expect(answerOf(await calls.say(id, 'Hello')).message_id).toMatch(UUID);
  });

  test('the same message_id again returns the first answer and runs nothing', async () => {
    const first = answerOf(await calls.say(id, 'Hello', 'm1'));
    const { processing_time_ms: _, ...same } = first;
    expect(answerOf(await calls.say(id, 'other words', 'm1'))).toMatchObject(same);
    await calls.change(id, { complete: true });
    expect(answerOf(await calls.say(id, 'Hello', 'm1'))).toMatchObject(same);
    expect(script.turns).toEqual([['Hello']]);
  });

  test('twenty copies at once run one turn and get one answer', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => calls.say(id, 'Hi', 'm1')));
    for (const answer of answers) expect(answerOf(answer).assistant_response).toBe('re Hi');
    expect(script.turns).toEqual([['Hi']]);
  });

  test('a message_id is the session’s own, also where two are of one device', async () => {
    const device = crypto.randomUUID();
    const begin = async () => begunBy(await calls.begin('', undefined, { device })).session_id;
    const [one, two] = [await begin(), await begin()];
    expect(answerOf(await calls.say(one, 'in one', '1')).assistant_response).toBe('re in one');
    expect(answerOf(await calls.say(two, 'in two', '1'))).toMatchObject({
      session_id: two,
      assistant_response: 're in two',
    });
    expect(historyOf(await calls.history(one)).total_messages).toBe(2);
  });

  test('while another turn of the device runs it waits, and gets the answer to its own message', async () => {
    const release = script.hold();
    const first = calls.say(id, 'one');
    await working();
    const second = calls.say(id, 'two');
    await until('both are stored', async () => {
      const rows = await api.sql(`SELECT FROM chat_messages WHERE session_id = $1`, [id]);
      return rows.length === 2;
    });
    release();
    expect(answerOf(await first).assistant_response).toBe('re one');
    expect(answerOf(await second).assistant_response).toBe('re two');
  });

  test('answered behind what waits in an older session, it tells the words that were said', async () => {
    const device = crypto.randomUUID();
    const begin = async () => begunBy(await calls.begin('', undefined, { device })).session_id;
    const [older, newer] = [await begin(), await begin()];
    const body = { message_id: 'elsewhere', content: 'Hi' };
    await api.call('POST', '/api/turn', { device, body });
    expect((await calls.say(older, 'in the older')).status).toBe(202);
    await api.sql(
      `UPDATE conversation_states SET turn_expires_at = now() - interval '1 s' WHERE device_id = $1`,
      [device],
    );
    expect(answerOf(await calls.say(newer, 'in the newer'))).toMatchObject({
      session_id: newer,
      user_message: 'in the newer',
      assistant_response: 're in the newer',
    });
    expect(script.turns).toEqual([['in the older'], ['in the newer']]);
  });

  test('where a person holds the conversation nobody answers, and the history has it', async () => {
    const { device_id: device } = sessionOf(await calls.read(id));
    await api.call('PUT', '/api/lock', { device, body: { agent: 'human' } });
    expect(answerOf(await calls.say(id, 'is anybody there?'))).toMatchObject({
      assistant_response: '',
      agent: 'human',
      sources: [],
    });
    expect(historyOf(await calls.history(id)).messages).toMatchObject([
      { content: 'is anybody there?' },
    ]);
  });

  test('what cannot be stored of a text is left out of it', async () => {
    expect(answerOf(await calls.say(id, 'a\u0000b\ud800')).user_message).toBe('ab\ufffd');
  });
});

describe('POST 202', () => {
  test('queued, after REPLY_WAIT: the message is stored and asked for by its id', async () => {
    const release = script.hold();
    const first = calls.say(id, 'one');
    await working();

    const answer = await within(30, 'the answer', calls.say(id, 'two', 'm2'));

    expect([answer.status, answer.json]).toEqual([202, { message_id: 'm2', queued: true }]);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    release();
    await first;
    await api.settled();
    expect(answerOf(await calls.say(id, 'two', 'm2')).assistant_response).toBe('re two');
  });
});

describe('POST 400', () => {
  test.for([
    [{}, 'message'],
    [{ message: 7 }, 'message'],
    [{ message: 'Hi', message_id: '' }, 'message_id'],
    [{ message: 'Hi', message_id: 'x'.repeat(513) }, 'message_id'],
    [{ message: 'Hi', metadata: [] }, 'metadata'],
  ] as const)('invalid_request: %j', async ([body, path]) => {
    const call = ['POST', `${SESSIONS}/${id}/messages`, { body }] as const;
    const { problem } = await refuse(api, [400, 'invalid_request'], ...call);
    expect(problem.errors?.map((error) => error.path)).toEqual([path]);
  });

  test('unstorable_text: in the metadata', async () => {
    const body = { message: 'Hi', metadata: { a: '\ud800' } };
    await refuse(api, [400, 'unstorable_text'], 'POST', `${SESSIONS}/${id}/messages`, { body });
  });
});

test('POST 404 session_not_found', async () => {
  for (const session of [crypto.randomUUID(), 'me']) {
    const path = `${SESSIONS}/${session}/messages`;
    await refuse(api, [404, 'session_not_found'], 'POST', path, { body: { message: 'Hi' } });
  }
});

test('POST 409 session_complete', async () => {
  await calls.change(id, { complete: true });
  const path = `${SESSIONS}/${id}/messages`;
  await refuse(api, [409, 'session_complete'], 'POST', path, { body: { message: 'Hi' } });
});

test('POST 415 unsupported_media_type: a form, as curl -d sends it', async () => {
  const form = { raw: '{"message":"Hi"}', type: 'application/x-www-form-urlencoded' };
  const path = `${SESSIONS}/${id}/messages`;
  await refuse(api, [415, 'unsupported_media_type'], 'POST', path, form);
});

test('POST 500 agent_failed: the message is set aside', async () => {
  script.play(() => {
    throw new Error('the model is out');
  });
  expectProblem(await calls.say(id, 'Hello', 'm1'), 500, 'agent_failed');
  expect(historyOf(await calls.history(id)).messages).toEqual([]);
});

test('503 storage_unavailable: every call, while the database is away', async () => {
  api.wire.cut();
  for (const answer of [
    await calls.begin(),
    await calls.list(),
    await calls.list('?q=words'),
    await calls.list('?user_id=ann&format=csv'),
    await calls.read(id),
    await calls.change(id, {}),
    await calls.say(id, 'Hello'),
    await calls.history(id),
    await calls.history(id, '?format=csv'),
    await calls.remove(id),
  ]) {
    expectProblem(answer, 503, 'storage_unavailable');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  }
});
