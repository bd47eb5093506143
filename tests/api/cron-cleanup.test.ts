import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { type Answer, type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { granted, worker } from './turns.ts';

const SECRET = 'secret-of-the-cron-which-is-long-1';
const NEXT = 'secret-of-the-cron-which-is-next-2';
const KEY = 'key-of-an-operator-which-is-long-1';

let api: Api;
let device: string;

beforeAll(async () => {
  api = await startApi({ CRON_SECRET: `${NEXT},${SECRET}`, RETENTION_DAYS: '30' });
});
beforeEach(async () => {
  device = crypto.randomUUID();
  await clean(); // what the test before left is not counted in this one
});
afterAll(() => api.close());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const clean = (on = api, secret = SECRET) =>
  on.call('GET', '/api/cron/cleanup', { headers: bearer(secret) });

const count = z.int().nonnegative();
const report = z.strictObject({
  expired_locks: count,
  expired_sessions: count,
  purged_messages: count,
  recovered_turns: count,
  resent_replies: count,
  duration_ms: count,
  more: z.boolean(),
});

function reportOf(answer: Answer): z.output<typeof report> {
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return report.parse(answer.json);
}

const chat = (message: string, on = api) =>
  on.call('POST', '/api/webhooks/web', { device, body: { message } });

/** Moves everything of the device into the past, as if nobody had spoken for so long. */
async function letPass(interval: string, on = api): Promise<void> {
  await on.sql(
    `UPDATE chat_messages SET created_at = created_at - $2::interval WHERE device_id = $1`,
    [device, interval],
  );
  await on.sql(
    `UPDATE chat_sessions SET last_activity = last_activity - $2::interval, expires_at = expires_at - $2::interval
     WHERE device_id = $1`,
    [device, interval],
  );
  await on.sql(
    `UPDATE conversation_states SET session_expires_at = session_expires_at - $2::interval,
       lock_expires_at = lock_expires_at - $2::interval WHERE device_id = $1`,
    [device, interval],
  );
}

/** A message of the built-in lane whose worker took it and was killed. */
async function abandon(): Promise<void> {
  const message = {
    sender: { device: device as DeviceId },
    channel: 'web',
    account: device,
    externalId: 'abandoned',
    content: 'Hello',
    metadata: {},
    sentAt: null,
  };
  const terms = {
    requestId: crypto.randomUUID(),
    lane: 'builtin',
    leaseMs: 60_000,
    maxTurns: 1,
  } as const;
  await api.app.storage.accept([message], terms);
}

describe('200', () => {
  test('nothing to do is all zeros', async () => {
    expect(reportOf(await clean())).toEqual({
      expired_locks: 0,
      expired_sessions: 0,
      purged_messages: 0,
      recovered_turns: 0,
      resent_replies: 0,
      duration_ms: expect.any(Number),
      more: false,
    });
  });

  test('each secret of the list is accepted, so that it can be changed', async () => {
    expect((await clean(api, SECRET)).status).toBe(200);
    expect((await clean(api, NEXT)).status).toBe(200);
  });

  test('clears the locks that have ended, once, and no live one', async () => {
    const live = worker(api, crypto.randomUUID());
    await live.hold('support');
    await worker(api, device).hold('support', 60);
    await letPass('60 seconds');

    expect(reportOf(await clean())).toMatchObject({ expired_locks: 1, more: false });
    expect(reportOf(await clean())).toMatchObject({ expired_locks: 0 });
    expect(await live.lock()).toMatchObject({ active_agent: 'support' });
  });

  test('counts the chat sessions that have ended', async () => {
    await chat('Hello');
    await letPass('2 hours');

    expect(reportOf(await clean())).toMatchObject({ expired_sessions: 1, purged_messages: 0 });
  });

  test('purges the messages of sessions inactive for longer than RETENTION_DAYS, and no others', async () => {
    await chat('an old word');
    await letPass('31 days');
    const old = device;
    device = crypto.randomUUID();
    await chat('a younger word');
    await letPass('29 days');

    expect(reportOf(await clean())).toMatchObject({ purged_messages: 2 });

    const kept = await api.sql(
      `SELECT device_id FROM chat_messages WHERE device_id IN ($1, $2) AND content <> ''`,
      [old, device],
    );
    expect(kept).toEqual([{ device_id: device }, { device_id: device }]);
  });

  test('RETENTION_DAYS=0 keeps every message', async () => {
    const keeping = await startApi({ CRON_SECRET: SECRET, RETENTION_DAYS: '0' });
    try {
      await chat('an old word', keeping);
      await letPass('10 years', keeping);

      expect(reportOf(await clean(keeping))).toMatchObject({ purged_messages: 0 });
      expect(await keeping.sql('SELECT FROM chat_messages')).toHaveLength(2);
    } finally {
      await keeping.close();
    }
  });

  test('answers what a killed worker left, once its lease has run out and not before', async () => {
    await abandon();
    expect(reportOf(await clean())).toMatchObject({ recovered_turns: 0 });

    await worker(api, device).letLeaseLapse();
    expect(reportOf(await clean())).toMatchObject({ recovered_turns: 1 });

    expect(await worker(api, device).rows()).toMatchObject([
      { role: 'user', status: 'answered' },
      { role: 'assistant', agent: 'manager' },
    ]);
    expect(reportOf(await clean())).toMatchObject({ recovered_turns: 0 });
  });

  test('two at once do not recover the same turn twice', async () => {
    await abandon();
    await worker(api, device).letLeaseLapse();

    const reports = (await Promise.all([clean(), clean()])).map(reportOf);

    expect(reports.map((each) => each.recovered_turns).toSorted()).toEqual([0, 1]);
    expect(await worker(api, device).rows()).toHaveLength(2);
  });

  test('never answers a message of a worker elsewhere, also not after its lease ran out', async () => {
    const elsewhere = worker(api, device);
    granted(await elsewhere.submit('m1'));
    await elsewhere.letLeaseLapse();

    expect(reportOf(await clean())).toMatchObject({ recovered_turns: 0 });

    expect(await elsewhere.rows()).toMatchObject([{ role: 'user', status: 'waiting' }]);
  });

  test('a fence never falls back over it: the next token is larger', async () => {
    const elsewhere = worker(api, device);
    const first = granted(await elsewhere.submit('m1')).turn.token;
    await elsewhere.answer(first);
    await letPass('31 days');
    await clean();

    const second = granted(await elsewhere.submit('m2')).turn.token;

    expect(BigInt(second)).toBeGreaterThan(BigInt(first));
  });
});

describe('401 unauthorized with WWW-Authenticate: Bearer', () => {
  test.for<readonly [string, Record<string, string>]>([
    ['no secret', {}],
    ['an empty one', { authorization: 'Bearer ' }],
    ['a wrong one', bearer('some-other-secret-of-32-characters')],
    ['the beginning of it', bearer(SECRET.slice(0, -1))],
    ['it in another scheme', { authorization: `Basic ${btoa(SECRET)}` }],
    ['it as a query parameter alone', {}],
    ['an API key', bearer(KEY)],
  ])('%s', async ([, headers]) => {
    await worker(api, device).hold('support', 60);
    await letPass('60 seconds'); // something to clean

    const path = `/api/cron/cleanup?secret=${SECRET}`;
    const answer = await refuse(api, [401, 'unauthorized'], 'GET', path, { headers });

    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test.for<readonly [string, Record<string, string>]>([
    ['in open mode', {}],
    ['with API keys', { API_KEYS: KEY }],
    ['in production', { VERCEL_ENV: 'production', API_KEYS: KEY, DEVICE_TOKEN_SECRET: SECRET }],
  ])('CRON_SECRET is not set: always, %s', async ([, env]) => {
    const closed = await startApi(env);
    try {
      for (const headers of [{}, bearer(''), bearer('undefined'), bearer('null'), bearer(KEY)]) {
        await refuse(closed, [401, 'unauthorized'], 'GET', '/api/cron/cleanup', { headers });
      }
    } finally {
      await closed.close();
    }
  });
});
