import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi, TIME } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';

const key = 'k'.repeat(32);
const operator = { authorization: `Bearer ${key}` };

interface Page {
  messages: Record<string, unknown>[];
  next_cursor: string | null;
}

let api: Api;

beforeEach(async () => {
  api = await startApi({ API_KEYS: key, MAX_ATTEMPTS: '1' });
});
afterEach(() => api.close());

/** Stores messages of a new device and lets the turn over them fail once too often. */
async function setAside(...contents: string[]): Promise<string> {
  const device = randomUUID();
  for (const content of contents) {
    await api.call('POST', '/api/turn', {
      device,
      headers: operator,
      body: { message_id: content, content, metadata: { said: content } },
    });
    await api.sql(
      `SELECT baton_fail_v1(device_id, turn_fence, 'TypeError', 1) FROM conversation_states WHERE device_id = $1`,
      [device],
    );
  }
  return device;
}

const list = async (query = '', device?: string): Promise<Page> => {
  const answer = await api.call('GET', `/api/turn?failed=true${query}`, {
    headers: operator,
    ...(device !== undefined && { device }),
  });
  expect(answer.status).toBe(200);
  return answer.json as Page;
};
const retry = (device?: string) =>
  api.call('POST', '/api/turn?failed=true', {
    headers: operator,
    ...(device !== undefined && { device }),
  });
const contents = ({ messages }: Page) => messages.map(({ content }) => content);

describe('GET ?failed=true', () => {
  test('lists what was set aside, with its error', async () => {
    const device = await setAside('hello');

    const page = await list();

    expect(page).toEqual({
      messages: [
        {
          id: expect.stringMatching(/^\d+$/),
          message_id: 'hello',
          role: 'user',
          content: 'hello',
          agent: null,
          metadata: { said: 'hello' },
          created_at: expect.stringMatching(TIME),
          device_id: device,
          session_id: expect.any(String),
          channel: 'api',
          lane: 'external',
          attempts: 1,
          error: 'TypeError',
        },
      ],
      next_cursor: null,
    });
  });

  test('page by page, oldest first, of all devices or of one', async () => {
    const one = await setAside('a', 'b');
    await setAside('c');

    const first = await list('&limit=2');
    const second = await list(`&limit=2&cursor=${first.next_cursor}`);

    expect(contents(first)).toEqual(['a', 'b']);
    expect(contents(second)).toEqual(['c']);
    expect(second.next_cursor).toBeNull();
    expect(contents(await list('', one))).toEqual(['a', 'b']);
    expect(contents(await list('', randomUUID()))).toEqual([]);
  });

  test.for(['&limit=0', '&limit=101', '&limit=1.5', '&limit=x', '&cursor=x', '&cursor=-1'])(
    '400 invalid_request: %s',
    async (query) => {
      const { problem } = await refuse(
        api,
        [400, 'invalid_request'],
        'GET',
        `/api/turn?failed=true${query}`,
        { headers: operator },
      );
      expect(problem.errors?.[0]?.path).toBe(query.startsWith('&limit') ? 'limit' : 'cursor');
    },
  );
});

describe('POST ?failed=true', () => {
  test('puts back what was set aside, once, with all its tries', async () => {
    const device = await setAside('hello');

    expect((await retry()).json).toEqual({ retried: 1, more: false });
    expect((await retry()).json).toEqual({ retried: 0, more: false });

    expect(contents(await list())).toEqual([]);
    const poll = await api.call('POST', '/api/turn', { device, headers: operator, body: {} });
    expect(poll.json).toMatchObject({ messages: [{ message_id: 'hello' }] });
  });

  test('of one device only, where one is named', async () => {
    const one = await setAside('a');
    await setAside('b');

    expect((await retry(one)).json).toEqual({ retried: 1, more: false });

    expect(contents(await list())).toEqual(['b']);
  });

  test('all of them, also more than one statement takes', async () => {
    const device = await setAside('first');
    await api.sql(
      `INSERT INTO chat_messages (device_id, session_id, role, content, channel, account, lane, status, sent_at, created_at)
       SELECT device_id, session_id, role, content, channel, account, lane, 'failed', sent_at, created_at
       FROM chat_messages, generate_series(1, 600) WHERE device_id = $1`,
      [device],
    );

    expect((await retry(device)).json).toEqual({ retried: 601, more: false });
  });
});

describe('who may', () => {
  test.for(['GET', 'POST'])('%s without an API key: 401', async (method) => {
    await setAside('a');
    await refuse(api, [401, 'unauthorized'], method, '/api/turn?failed=true');
  });

  test('a malformed device is refused, not taken for all of them: 400', async () => {
    const answer = await api.call('POST', '/api/turn?failed=true', {
      device: 'nobody',
      headers: operator,
    });
    expectProblem(answer, 400, 'invalid_device_id');
  });

  test('PUT with ?failed=true: 405, and OPTIONS says what there is', async () => {
    for (const [method, status] of [
      ['PUT', 405],
      ['OPTIONS', 204],
    ] as const) {
      const answer = await api.call(method, '/api/turn?failed=true', { headers: operator });
      expect([answer.status, answer.headers.get('allow')]).toEqual([
        status,
        'GET, HEAD, POST, OPTIONS',
      ]);
    }
  });
});
