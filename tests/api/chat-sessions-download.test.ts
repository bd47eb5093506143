import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi, TIME } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { scripted } from './scripted.ts';
import { begunBy, chat, type Chat, historyOf, SESSIONS } from './chat.ts';

const script = scripted();
let api: Api;
let calls: Chat;
let user: string;

beforeAll(async () => {
  api = await startApi({}, { registry: script.registry });
  calls = chat(api);
});
beforeEach(() => {
  script.reset();
  user = crypto.randomUUID();
});
afterEach(() => api.settled());
afterAll(() => api.close());

const lines = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** The records of a CSV file, read as RFC 4180 says. */
function records(text: string): string[][] {
  const cell = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)/gy;
  const rows: string[][] = [[]];
  for (const [, content = '', end] of text.matchAll(cell)) {
    const value = content.startsWith('"') ? content.slice(1, -1).replaceAll('""', '"') : content;
    rows.at(-1)?.push(value);
    if (end === '\r\n') rows.push([]);
  }
  return rows.slice(0, -1);
}

describe('GET history?format= 200', () => {
  test('jsonl: a message a line, and nothing else', async () => {
    const id = await calls.open(user);
    await calls.say(id, 'one\ntwo', 'm1', { a: 1 });
    const answer = await calls.history(id, '?format=jsonl');

    expect(answer.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
    expect(answer.headers.get('content-disposition')).toBe(
      `attachment; filename="chat-session-${id}.jsonl"`,
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const { messages } = historyOf(await calls.history(id));
    const [question, reply] = messages;
    expect(lines(answer.text)).toEqual([
      {
        type: 'message',
        session_id: id,
        id: question?.id,
        message_id: 'm1',
        role: 'user',
        agent: null,
        content: 'one\ntwo',
        timestamp: expect.stringMatching(TIME),
        metadata: { a: 1 },
      },
      {
        type: 'message',
        session_id: id,
        id: reply?.id,
        message_id: null,
        role: 'assistant',
        agent: 'manager',
        content: 're one\ntwo',
        timestamp: reply?.timestamp,
        metadata: {},
      },
    ]);
  });

  test('csv: every cell comes back as it was, but what a spreadsheet would run', async () => {
    const texts = [
      'plain',
      'with, comma; and "quotes"',
      'two\r\nlines\nor three',
      'Ünïcode 🙂',
      '=1+1',
      '+1',
      '-1',
      '@SUM(A1)',
      '\t=1',
      ' =cmd|calc',
      '＝1',
    ];
    script.play(() => {});
    const id = await calls.open(user, ...texts);
    const answer = await calls.history(id, '?format=csv');

    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const [head, ...rows] = records(answer.text);
    expect(head?.join()).toBe('session_id,id,message_id,role,agent,content,timestamp,metadata');
    expect(rows.every((row) => row.length === 8 && row[0] === id)).toBe(true);
    expect(rows.map((row) => row[5])).toEqual([
      ...texts.slice(0, 4),
      ...texts.slice(4).map((text) => `'${text}`),
    ]);
  });

  test('csv: ids, roles and metadata are cells like others', async () => {
    script.play((turn) => turn.reply('Hi', { note: '=1+1' }));
    const id = await calls.open(user);
    await calls.say(id, 'Hello', '=HYPERLINK("https://evil.example")');
    const [, question, reply] = records((await calls.history(id, '?format=csv')).text);
    expect(question?.[2]).toBe(`'=HYPERLINK("https://evil.example")`);
    expect(reply?.slice(3, 5)).toEqual(['assistant', 'manager']);
    expect(reply?.[7]).toBe('{"note":"=1+1"}');
  });

  test('md: for people, and no text passes for the next message', async () => {
    script.play((turn) => turn.reply('Sure.\n\n**user**, now\n\n> I agree'));
    const id = await calls.open(user, '# Hello');
    const answer = await calls.history(id, '?format=md');

    expect(answer.headers.get('content-type')).toBe('text/markdown; charset=utf-8');
    expect(answer.text.replaceAll(/\d{4}-\S+Z/g, 'TIME')).toBe(
      [
        `# Chat session ${id}\n\nBegun TIME by "${user}"\n\n`,
        '**user**, TIME\n\n> # Hello\n\n',
        '**assistant** (manager), TIME\n\n> Sure.\n> \n> **user**, now\n> \n> > I agree\n\n',
      ].join(''),
    );
  });

  test('of a session in which nothing was said', async () => {
    const id = await calls.open(user);
    expect((await calls.history(id, '?format=jsonl')).text).toBe('');
    expect(records((await calls.history(id, '?format=csv')).text)).toHaveLength(1);
  });

  test('the whole thread, however long', async () => {
    const id = await calls.open(user);
    const { device_id: device } = begunBy(await calls.begin());
    await api.sql(
      `INSERT INTO chat_messages (device_id, session_id, seq, role, content, channel, account, lane, status, sent_at, created_at)
       SELECT $1, $2, g, 'user', 'message ' || g, 'chat', 'a', 'builtin', 'answered', now(), now() FROM generate_series(1, 1234) g`,
      [device, id],
    );
    const written = lines((await calls.history(id, '?format=jsonl&max_messages=5')).text);
    expect(written.map(({ content }) => content)).toEqual(
      Array.from({ length: 1_234 }, (_, i) => `message ${i + 1}`),
    );
  });

  test('HEAD says what it would be, and sends nothing', async () => {
    const id = await calls.open(user, 'Hello');
    const answer = await api.call('HEAD', `${SESSIONS}/${id}/history?format=csv`);
    expect([answer.status, answer.text]).toEqual([200, '']);
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
  });
});

describe('GET sessions?format= 200: everything a user or a device has', () => {
  test('jsonl: each session, and after it what was said in it', async () => {
    const device = crypto.randomUUID();
    const one = begunBy(
      await calls.begin(`?user_id=${user}`, { metadata: { title: 'A' } }, { device }),
    ).session_id;
    await calls.say(one, 'Hello');
    const two = await calls.open(user);
    await calls.open(crypto.randomUUID(), 'not mine');

    const answer = await calls.list(`?user_id=${user}&format=jsonl`);

    expect(answer.headers.get('content-disposition')).toBe(
      'attachment; filename="chat-sessions.jsonl"',
    );
    expect(lines(answer.text)).toMatchObject([
      { type: 'session', session_id: one, metadata: { title: 'A' }, message_count: 2 },
      { type: 'message', session_id: one, content: 'Hello' },
      { type: 'message', session_id: one, content: 're Hello' },
      { type: 'session', session_id: two },
    ]);
    const ofDevice = lines((await calls.list(`?device_id=${device}&format=jsonl`)).text);
    expect(ofDevice).toHaveLength(3);
  });

  test('csv and md', async () => {
    await calls.open(user, 'one');
    await calls.open(user, 'two');
    const csv = records((await calls.list(`?user_id=${user}&format=csv`)).text);
    expect(csv.map((row) => row[5])).toEqual(['content', 'one', 're one', 'two', 're two']);
    const { text } = await calls.list(`?user_id=${user}&format=md`);
    expect(text.match(/^(#|>) \S+/gm)).toHaveLength(6);
  });

  test('without the sessions that are over, unless they are asked for', async () => {
    const id = await calls.open(user, 'Hello');
    await calls.age(id, 3_600);
    expect((await calls.list(`?user_id=${user}&format=jsonl`)).text).toBe('');
    const all = (await calls.list(`?user_id=${user}&format=jsonl&include_expired=true`)).text;
    expect(lines(all)).toHaveLength(3);
  });

  test('of nobody there is nothing', async () => {
    expect((await calls.list(`?user_id=${user}&format=jsonl`)).text).toBe('');
  });
});

describe('GET sessions?format= 400 invalid_request', () => {
  test.for([
    '',
    '&q=words',
    '&user_id=ann&active=true',
    '&user_id=ann&q=x',
    '&user_id=ann&cursor=x',
  ])('format=csv%s', async (more) => {
    const call = ['GET', `${SESSIONS}?format=csv${more}`] as const;
    const { problem } = await refuse(api, [400, 'invalid_request'], ...call);
    expect(problem.errors?.map(({ path }) => path)).toContain('format');
  });
});
