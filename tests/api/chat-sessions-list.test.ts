import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { begunBy, chat, type Chat, listOf, SESSIONS } from './chat.ts';

let api: Api;
let calls: Chat;
let user: string;

beforeAll(async () => {
  api = await startApi();
  calls = chat(api);
});
beforeEach(() => {
  user = crypto.randomUUID();
});
afterEach(() => api.settled());
afterAll(() => api.close());

const idsOf = (answer: { sessions: { session_id: string }[] }) =>
  answer.sessions.map(({ session_id: id }) => id);
const list = async (query: string) => listOf(await calls.list(query));

describe('GET 200', () => {
  test('a user’s sessions, the latest activity first', async () => {
    const first = await calls.open(user);
    const second = await calls.open(user);
    await calls.age(second, 60);
    await calls.open(crypto.randomUUID());

    const page = await list(`?user_id=${user}`);

    expect(page).toMatchObject({ total: 2, next_cursor: null });
    expect(idsOf(page)).toEqual([first, second]);
    await calls.say(second, 'Hello');
    expect(idsOf(await list(`?user_id=${user}`))).toEqual([second, first]);
  });

  test('what each holds', async () => {
    const begun = begunBy(await calls.begin(`?user_id=${user}`, { metadata: { title: 'A' } }));
    await calls.say(begun.session_id, 'Hello');

    expect((await list(`?user_id=${user}`)).sessions).toMatchObject([
      { device_id: begun.device_id, message_count: 2, complete: false, metadata: { title: 'A' } },
    ]);
  });

  test('a device’s, in whatever case it is written, and the ones of both', async () => {
    const device = crypto.randomUUID();
    const mine = begunBy(await calls.begin(`?user_id=${user}`, undefined, { device }));
    const shared = begunBy(await calls.begin('?user_id=other', undefined, { device }));

    const page = await list(`?device_id=${device.toUpperCase()}`);
    expect(idsOf(page).toSorted()).toEqual([mine.session_id, shared.session_id].toSorted());
    expect(idsOf(await list(`?device_id=${device}&user_id=${user}`))).toEqual([mine.session_id]);
  });

  test('active=true: neither over nor complete; active=false: the others', async () => {
    const open = await calls.open(user);
    const done = await calls.open(user);
    const over = await calls.open(user);
    await calls.change(done, { complete: true });
    await calls.age(over, 3_600);

    expect(idsOf(await list(`?user_id=${user}&active=true`))).toEqual([open]);
    expect(idsOf(await list(`?user_id=${user}&active=false`))).toEqual([done]);
    const all = await list(`?user_id=${user}&active=false&include_expired=true`);
    expect(idsOf(all)).toEqual([done, over]);
  });

  test('an expired session is absent, until it is asked for', async () => {
    const id = await calls.open(user);
    await calls.age(id, 3_600);

    expect(await list(`?user_id=${user}`)).toMatchObject({ sessions: [], total: 0 });
    expect(idsOf(await list(`?user_id=${user}&include_expired=true`))).toEqual([id]);
  });

  test('in pages: each session once, and the total on each of them', async () => {
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await calls.open(user));
    const seen = [];
    for (let cursor = ''; ;) {
      const page = await list(`?user_id=${user}&limit=2${cursor}`);
      expect(page.total).toBe(5);
      seen.push(idsOf(page));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    expect(seen.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(seen.flat().toSorted()).toEqual(ids.toSorted());
  });

  test('everybody’s, where nobody is named', async () => {
    const ids = [await calls.open(user), await calls.open(crypto.randomUUID())];
    expect(idsOf(await list('?limit=1000'))).toEqual(expect.arrayContaining(ids));
  });

  test('of nobody there are none', async () => {
    expect(await list(`?user_id=${user}`)).toEqual({ sessions: [], total: 0, next_cursor: null });
    expect(await list(`?device_id=${crypto.randomUUID()}`)).toMatchObject({ total: 0 });
  });
});

describe('GET 400 invalid_request', () => {
  const anotherList = Buffer.from('["12"]').toString('base64url');
  test.for([
    ['user_id=', 'user_id'],
    ['device_id=me', 'device_id'],
    ['active=yes', 'active'],
    ['include_expired=1', 'include_expired'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1.5', 'limit'],
    ['cursor=', 'cursor'],
    ['cursor=abc', 'cursor'],
    [`cursor=${anotherList}`, 'cursor'],
    [`q=words&cursor=${anotherList}`, 'cursor'],
    [`q=${'x'.repeat(1_001)}`, 'q'],
  ] as const)('%s', async ([query, path]) => {
    const call = ['GET', `${SESSIONS}?${query}`] as const;
    const { problem } = await refuse(api, [400, 'invalid_request'], ...call);
    expect(problem.errors?.map((error) => error.path)).toEqual([path]);
  });
});
