import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { documented } from '../../dev/openapi/document.ts';
import { type Api, type CallOptions, startApi } from '../support/api.ts';
import { forge, now, partsOf } from '../support/tokens.ts';

// Every operation of the table, by everybody who is not the first tenant: nobody sees a word of it, or changes one.

const KEY = 'a-key-of-this-deployment-00000001';
const SECRET = 'secret-that-signs-device-tokens-1';
const OLD_KEY = 'a-key-that-was-rotated-out-000001';
const OLD_SECRET = 'secret-that-was-rotated-out-00001';
const CRON = 'secret-of-the-cron-which-is-long-1';
const META = 'an app secret';

/** What the first tenant wrote, as a name that occurs nowhere else. */
const CANARY = 'canary7f3a9c51d2e8';
const USER = `user-${CANARY}`;

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

let api: Api;
/** The first tenant: a browser whose user has said the word everywhere. */
const first = { device: '', token: '', session: '', turn: '' };
/** The second: a browser as good as the first. */
const second = { device: '', token: '' };

beforeAll(async () => {
  api = await startApi({
    API_KEYS: KEY,
    DEVICE_TOKEN_SECRET: SECRET,
    CRON_SECRET: CRON,
    WHATSAPP_APP_SECRET: META,
    WHATSAPP_VERIFY_TOKEN: 'a word for Meta',
    RETENTION_DAYS: '0',
  });
  for (const tenant of [first, second]) {
    const registered = await api.call('POST', '/api/device', { device: crypto.randomUUID() });
    const { device_id: device, token } = registered.json as { device_id: string; token: string };
    Object.assign(tenant, { device, token });
  }
  const { device } = first;
  const say = async (method: string, path: string, body: object) => {
    const answer = await api.call(method, path, { device, headers: bearer(KEY), body });
    expect(answer.status, answer.text).toBeLessThan(300);
    return answer.json as Record<string, string>;
  };
  await say('POST', '/api/webhooks/web', { message: CANARY, metadata: { own: CANARY } });
  await say('PUT', '/api/state', { state: { [CANARY]: CANARY } });
  const begun = await say('POST', '/api/chat/sessions', {
    user_id: USER,
    metadata: { own: CANARY },
  });
  first.session = begun['session_id'] ?? '';
  await say('POST', `/api/chat/sessions/${first.session}/messages`, { message: CANARY });
  await say('PUT', '/api/lock', { agent: CANARY });
  const taken = await say('POST', '/api/turn', { message_id: 'm1', content: CANARY });
  first.turn = (taken['turn'] as unknown as { token: string }).token;
  await api.sql(
    `INSERT INTO chat_messages (device_id, session_id, role, content, channel, account, lane, status, error, sent_at, created_at)
     VALUES ($1::uuid, $2::uuid, 'user', $3, 'api', 'x', 'external', 'failed', 'x', now(), now())`,
    [device, first.session, CANARY],
  );
  await api.settled();
});
afterAll(() => api.close());

const payloadOf = (token: string) => partsOf(token).payload;
const header = { alg: 'HS256', typ: 'JWT' };

/** Everything somebody may hold that is not the first tenant's, each by its headers. */
const credentials: Readonly<Record<string, () => Record<string, string>>> = {
  'no credential': () => ({}),
  'the device token of another': () => bearer(second.token),
  'an API key that was rotated out': () => bearer(OLD_KEY),
  'its own device token, expired': () =>
    bearer(forge(header, { ...payloadOf(first.token), exp: now() - 1 }, SECRET)),
  'its own device token, under a secret that was rotated out': () =>
    bearer(forge(header, payloadOf(first.token), OLD_SECRET)),
  'a token without a signature': () =>
    bearer(forge({ ...header, alg: 'none' }, payloadOf(first.token), null)),
  'the cron secret': () => bearer(CRON),
};

/** A body that would do something, were it let through. */
function bodyOf(id: string): object {
  const { turn: token } = first;
  const known: Record<string, object> = {
    setLock: { agent: 'thief' },
    replaceState: { state: { stolen: true } },
    mergeState: { stolen: true },
    takeTurn: {},
    answerTurn: { token, replies: [{ content: 'stolen' }] },
    renewTurn: { token },
    giveBackTurn: { token },
    changeSession: { metadata: { stolen: true } },
    sendMessage: { message: 'stolen' },
    say: { message: 'stolen' },
  };
  return known[id] ?? {};
}

/** The operation as it is called on the first tenant: its device, its session, its user, its turn. */
function aimed(method: string, path: string, hasBody: boolean, id: string) {
  const url = path.replace('{id}', first.session).replace('{user_id}', encodeURIComponent(USER));
  const isList = method === 'GET' && path === '/api/chat/sessions';
  const more = isList
    ? [`?q=${CANARY}`, `?device_id=${first.device}`, `?user_id=${USER}`, '']
    : [''];
  return more.map((query) => ({
    url: url + query,
    options: {
      ...(hasBody && { body: bodyOf(id) }),
      type:
        path === '/api/state' && method === 'PATCH'
          ? 'application/merge-patch+json'
          : 'application/json',
    } satisfies CallOptions,
  }));
}

/** What is stored of the first tenant, row by row. */
async function storedOfFirst(): Promise<unknown[]> {
  const tables = ['conversation_states', 'chat_sessions', 'chat_messages', 'lock_events'];
  const rows = tables.map((table) =>
    api.sql(`SELECT t::text FROM ${table} t WHERE device_id = $1 ORDER BY 1`, [first.device]),
  );
  return Promise.all(rows);
}

describe.each(Object.keys(credentials))('%s', (credential) => {
  test.each(documented().map(({ name }) => name))('%s', async (name) => {
    const operation = documented().find((each) => each.name === name);
    if (operation === undefined) throw new Error('no such operation');
    const { method, path, doc } = operation;
    const headers = credentials[credential]?.() ?? {};
    const before = await storedOfFirst();

    for (const { url, options } of aimed(method, path, doc.body !== undefined, doc.id)) {
      for (const device of [first.device, second.device]) {
        const answer = await api.call(method, url, { ...options, device, headers });
        await api.settled();

        expect(answer.status, answer.text).toBeLessThan(500);
        expect(answer.text).not.toContain(CANARY);
        expect(JSON.stringify([...answer.headers])).not.toContain(CANARY);
        if (!url.includes(first.session)) expect(answer.text).not.toContain(first.session);
      }
    }

    expect(await storedOfFirst()).toEqual(before);
  });
});

test('with the API key the word is seen everywhere: a matrix that finds nothing would prove nothing', async () => {
  const seen = await Promise.all(
    [
      '/api/lock',
      '/api/state',
      '/api/device',
      `/api/chat/sessions?q=${CANARY}`,
      `/api/chat/sessions/${first.session}`,
      `/api/chat/sessions/${first.session}/history`,
      '/api/turn?failed=true',
    ].map(async (path) => {
      const { text } = await api.call('GET', path, { device: first.device, headers: bearer(KEY) });
      return [path, text.includes(CANARY)];
    }),
  );
  expect(seen.filter(([, found]) => found === false)).toEqual([]);
});

test('absent and not yours are told in the same words', async () => {
  const headers = bearer(second.token);
  const { device } = second;
  for (const rest of ['', '/history']) {
    const ask = (id: string) =>
      api.call('GET', `/api/chat/sessions/${id}${rest}`, { device, headers });
    const [theirs, nobodys] = [await ask(first.session), await ask(crypto.randomUUID())];
    expect([theirs.status, theirs.text]).toEqual([nobodys.status, nobodys.text]);
  }
});
