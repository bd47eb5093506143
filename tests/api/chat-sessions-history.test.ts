import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { scripted } from './scripted.ts';
import { begunBy, chat, type Chat, historyOf, SESSIONS } from './chat.ts';

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

const history = async (id: string, query = '') => historyOf(await calls.history(id, query));
const said = ({ messages }: Awaited<ReturnType<typeof history>>) =>
  messages.map(({ role, content }) => `${role}: ${content}`);

describe('GET 200', () => {
  test('of a session in which nothing was said', async () => {
    const id = await calls.open('ann');
    expect(await history(id)).toEqual({
      session_id: id,
      messages: [],
      total_messages: 0,
      next_cursor: null,
    });
  });

  test('questions and answers, oldest first', async () => {
    const id = await calls.open('ann', 'one', 'two');
    const page = await history(id);
    expect(said(page)).toEqual([
      'user: one',
      'assistant: re one',
      'user: two',
      'assistant: re two',
    ]);
    expect(page).toMatchObject({ total_messages: 4, next_cursor: null });
  });

  test('the last max_messages, 20 where nothing is said, and what is before them by cursor', async () => {
    const id = await calls.open('ann', ...Array.from({ length: 12 }, (_, i) => `q${i}`));
    const whole = await history(id, '?max_messages=1000');
    expect(whole).toMatchObject({ total_messages: 24, next_cursor: null });

    const last = await history(id);
    expect(last.messages).toEqual(whole.messages.slice(4));
    expect(last.total_messages).toBe(24);

    const seen = [];
    for (let before = ''; ;) {
      const page = await history(id, `?max_messages=10${before}`);
      seen.unshift(...page.messages);
      if (page.next_cursor === null) break;
      before = `&before=${page.next_cursor}`;
    }
    expect(seen).toEqual(whole.messages);
  });

  test('a cursor goes on where it was, whatever is said meanwhile', async () => {
    const id = await calls.open('ann', 'one', 'two');
    const { next_cursor: cursor } = await history(id, '?max_messages=2');
    await calls.say(id, 'three');
    expect(said(await history(id, `?max_messages=2&before=${cursor}`))).toEqual([
      'user: one',
      'assistant: re one',
    ]);
  });

  test('of one session only, where a device has several', async () => {
    const device = crypto.randomUUID();
    const begin = async () => begunBy(await calls.begin('', undefined, { device })).session_id;
    const [one, two] = [await begin(), await begin()];
    await calls.say(one, 'in one');
    await calls.say(two, 'in two');
    await calls.say(one, 'again');
    expect(said(await history(one)).filter((line) => line.startsWith('user'))).toEqual([
      'user: in one',
      'user: again',
    ]);
  });

  test('with the metadata of each message', async () => {
    script.play((turn) => turn.reply('see', { sources: ['a'] }));
    const id = await calls.open('ann');
    await calls.say(id, 'Hello', 'm1', { page: '/prices' });
    expect((await history(id)).messages.map(({ metadata }) => metadata)).toEqual([
      { page: '/prices' },
      { sources: ['a'] },
    ]);
  });

  test('of one that is over, with include_expired=true', async () => {
    const id = await calls.open('ann', 'Hello');
    await calls.age(id, 3_600);
    expect((await history(id, '?include_expired=true')).messages).toHaveLength(2);
  });
});

describe('GET 400 invalid_request', () => {
  test.for([
    ['max_messages=0', 'max_messages'],
    ['max_messages=1001', 'max_messages'],
    ['max_messages=many', 'max_messages'],
    ['before=', 'before'],
    ['before=me', 'before'],
    [`before=${Buffer.from('["-1"]').toString('base64url')}`, 'before'],
    ['format=pdf', 'format'],
    ['format=', 'format'],
  ] as const)('%s', async ([query, path]) => {
    const id = await calls.open('ann');
    const call = ['GET', `${SESSIONS}/${id}/history?${query}`] as const;
    const { problem } = await refuse(api, [400, 'invalid_request'], ...call);
    expect(problem.errors?.map((error) => error.path)).toEqual([path]);
  });
});

test('GET 404 session_not_found', async () => {
  for (const id of [crypto.randomUUID(), 'me'])
    for (const query of ['', '?format=md'])
      await refuse(api, [404, 'session_not_found'], 'GET', `${SESSIONS}/${id}/history${query}`);
});
