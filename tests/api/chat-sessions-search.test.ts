import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { scripted } from './scripted.ts';
import { begunBy, chat, type Chat, historyOf, listOf, SESSIONS } from './chat.ts';

const script = scripted();
let api: Api;
let calls: Chat;
let user: string;

beforeAll(async () => {
  api = await startApi({}, { registry: script.registry });
  calls = chat(api);
});
beforeEach(() => {
  user = crypto.randomUUID();
  script.play(() => {});
});
afterEach(() => api.settled());
afterAll(() => api.close());

const search = async (words: string, more = `&user_id=${user}`) =>
  listOf(await calls.list(`?q=${encodeURIComponent(words)}${more}`));
const idsOf = (answer: { sessions: { session_id: string }[] }) =>
  answer.sessions.map(({ session_id: id }) => id);

describe('GET ?q= 200', () => {
  test('the chat in which the refund was promised, and where', async () => {
    await calls.open(user, 'Hello');
    script.play((turn) => turn.reply('We promise you a refund of 20 €.'));
    const id = await calls.open(user, 'My parcel never came');

    const page = await search('refund promise');

    expect(page).toMatchObject({ total: 1, next_cursor: null });
    const { messages } = historyOf(await calls.history(id));
    expect(page.sessions).toMatchObject([
      {
        session_id: id,
        matches: [
          {
            message_id: messages[1]?.id,
            snippet: 'We <mark>promise</mark> you a <mark>refund</mark> of 20 €.',
          },
        ],
      },
    ]);
  });

  test('words, phrases, and words that must not occur', async () => {
    const one = await calls.open(user, 'the blue kettle leaks');
    const two = await calls.open(user, 'the kettle is blue');
    expect(idsOf(await search('kettle blue')).toSorted()).toEqual([one, two].toSorted());
    expect(idsOf(await search('"blue kettle"'))).toEqual([one]);
    expect(idsOf(await search('kettle -leaks'))).toEqual([two]);
  });

  test('accents do not matter', async () => {
    const id = await calls.open(user, 'Tôi cần đặt lịch; ¿mañana?; über die Straße');
    for (const words of ['dat lich', 'Đặt', 'manana', 'MAÑANA', 'uber', 'strasse', 'Straße'])
      expect(idsOf(await search(words)), words).toEqual([id]);
  });

  test('a snippet is HTML in which nothing but the marks is', async () => {
    await calls.open(user, `<script>alert("kettle")</script> & 'more'`);
    const [found] = (await search('kettle')).sessions;
    expect(found?.matches?.[0]?.snippet).toBe(
      '&lt;script&gt;alert(&quot;<mark>kettle</mark>&quot;)&lt;/script&gt; &amp; &#39;more&#39;',
    );
  });

  test('of one user, of one device, of everybody', async () => {
    const device = crypto.randomUUID();
    const word = `w${crypto.randomUUID().replaceAll('-', '')}`;
    const mine = begunBy(await calls.begin(`?user_id=${user}`, undefined, { device })).session_id;
    await calls.say(mine, word);
    const other = await calls.open(crypto.randomUUID(), word);

    expect(idsOf(await search(word))).toEqual([mine]);
    expect(idsOf(await search(word, `&device_id=${device}`))).toEqual([mine]);
    expect(idsOf(await search(word, '')).toSorted()).toEqual([mine, other].toSorted());
  });

  test('in pages of the best, with one total', async () => {
    for (let i = 0; i < 3; i++) await calls.open(user, `kettle ${'kettle '.repeat(i)}`);
    const whole = await search('kettle');
    const first = await search('kettle', `&user_id=${user}&limit=2`);
    const second = await search('kettle', `&user_id=${user}&limit=2&cursor=${first.next_cursor}`);
    expect([first.total, second.total, second.next_cursor]).toEqual([3, 3, null]);
    expect([...idsOf(first), ...idsOf(second)]).toEqual(idsOf(whole));
  });

  test('a session that is over, complete or deleted is found as a list would have it', async () => {
    const [over, done, gone] = [
      await calls.open(user, 'kettle'),
      await calls.open(user, 'kettle'),
      await calls.open(user, 'kettle'),
    ];
    await calls.age(over, 3_600);
    await calls.change(done, { complete: true });
    await calls.remove(gone);
    expect(idsOf(await search('kettle'))).toEqual([done]);
    expect(idsOf(await search('kettle', `&user_id=${user}&active=true`))).toEqual([]);
    const all = await search('kettle', `&user_id=${user}&include_expired=true`);
    expect(idsOf(all).toSorted()).toEqual([over, done].toSorted());
  });

  test('an empty search box is a list; signs that are no words find nothing', async () => {
    const id = await calls.open(user, 'kettle');
    expect(idsOf(await search(' '))).toEqual([id]);
    for (const words of ['?!', '🙂', '\u0000', "'; DROP TABLE chat_messages; --x"])
      expect(await search(words)).toMatchObject({ total: 0, sessions: [] });
  });

  test('a message of megabytes is stored whole, and found by its first words', async () => {
    const device = crypto.randomUUID();
    const words = Array.from({ length: 200_000 }, (_, i) => `word${i}`).join(' ');
    const message = `${user.replaceAll('-', '')} ${words}`;
    expect(message.length).toBeGreaterThan(2_000_000);
    const said = await api.call('POST', '/api/webhooks/web', { device, body: { message } });
    expect(said.status).toBe(200);
    const found = await search(user.replaceAll('-', ''), `&device_id=${device}`);
    expect(found.total).toBe(1);
  });
});

test('GET ?q= 400 invalid_request: everybody’s messages but those with a word', async () => {
  const { problem } = await refuse(api, [400, 'invalid_request'], 'GET', `${SESSIONS}?q=-kettle`);
  expect(problem.errors?.map(({ path }) => path)).toEqual(['q']);
});
