import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportText } from '../../lib/export.ts';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import type { DeviceId, ExportScope, SessionScope, Storage } from '../../lib/storage/storage.ts';
import { alone, counted } from '../support/statistics.ts';
import { limits } from '../support/storage.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const SESSIONS = 5_000;
const EACH = 20;
const MEBIBYTE = 1_048_576;

// The plans of chat sessions over 100,000 messages of a thousand users, before and after the tables were analysed: a
// new deployment grows for a while before anybody has looked at its tables.

let database: TestDatabase;
let client: pg.Client;
let plans: string[] = [];

/** What the database did for a statement, the statements inside its functions included. */
async function planOf(statement: string): Promise<string> {
  plans = [];
  await client.query(statement);
  expect(plans.length).toBeGreaterThan(1);
  return plans.join('\n');
}

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  client.on('notice', ({ message }) => void plans.push(message ?? ''));
  await client.connect();
  await client.query(
    `ALTER TABLE chat_messages SET (autovacuum_enabled = off);
     ALTER TABLE chat_sessions SET (autovacuum_enabled = off);
     ALTER TABLE conversation_states SET (autovacuum_enabled = off);
     INSERT INTO chat_sessions (session_id, device_id, user_id, channel, message_count, last_activity, expires_at)
     SELECT md5('s' || g)::uuid, md5('d' || g)::uuid, 'u' || g % 1000, 'chat', ${EACH}, now(), now() + CASE WHEN g % 2 = 0 THEN 1 ELSE -1 END * interval '1 hour'
     FROM generate_series(1, ${SESSIONS}) g;
     INSERT INTO conversation_states (device_id) SELECT md5('d' || g)::uuid FROM generate_series(1, ${SESSIONS}) g;
     INSERT INTO chat_messages (device_id, session_id, seq, role, content, channel, account, lane, status, sent_at, created_at)
     SELECT md5('d' || g)::uuid, md5('s' || g)::uuid, k, 'user', 'common word' || g % 500, 'chat', 'a', 'builtin', 'answered', now(), now()
     FROM generate_series(1, ${SESSIONS}) g, generate_series(1, ${EACH}) k ORDER BY g, k`,
  );
  await client.query(
    `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
     SET auto_explain.log_analyze = on; SET client_min_messages = log`,
  );
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

const session = `md5('s42')::uuid`;
const user = `'u42'`;
const device = `md5('d42')::uuid`;

/** Each call, and the indexes it is to be answered by. */
const calls: readonly (readonly [name: string, call: string, indexes: readonly string[]])[] = [
  [
    'history',
    `baton_history_v1(${session}, NULL, false, 15, 10)`,
    ['chat_sessions_pkey', 'chat_messages_session'],
  ],
  [
    'a user’s list',
    `baton_list_sessions_v1(${user}, NULL, NULL, false, NULL, NULL, 50)`,
    ['chat_sessions_user', 'chat_sessions_pkey'],
  ],
  [
    'a device’s list',
    `baton_list_sessions_v1(NULL, ${device}, NULL, true, NULL, NULL, 50)`,
    ['chat_sessions_device', 'chat_sessions_pkey'],
  ],
  [
    'a search in a user’s messages',
    `baton_search_sessions_v1('common word42', ${user}, NULL, NULL, false, NULL, NULL, NULL, 50)`,
    ['chat_sessions_user', 'chat_messages_session'],
  ],
  [
    'a search in a device’s messages',
    `baton_search_sessions_v1('common', NULL, ${device}, NULL, true, NULL, NULL, NULL, 50)`,
    ['chat_sessions_device', 'chat_messages_session'],
  ],
  [
    'a search in everybody’s messages',
    `baton_search_sessions_v1('word42', NULL, NULL, NULL, false, NULL, NULL, NULL, 50)`,
    ['chat_messages_search', 'chat_sessions_pkey'],
  ],
  [
    'a part of a user’s export',
    `baton_export_v1(NULL, ${user}, NULL, true, NULL, NULL, NULL, 50)`,
    ['chat_sessions_user', 'chat_messages_session'],
  ],
  [
    'a new session',
    `baton_create_session_v1(gen_random_uuid(), gen_random_uuid(), ${user}, 'chat', '{}', NULL, 3600, 1000, 1000)`,
    ['chat_sessions_user', 'chat_sessions_pkey', 'conversation_states_pkey'],
  ],
  [
    'a change',
    `baton_patch_session_v1(${session}, NULL, '{"a": 1}', false, 3600, 86400, 1000)`,
    ['chat_sessions_pkey', 'conversation_states_pkey'],
  ],
  [
    'a deletion',
    `baton_delete_session_v1(md5('s' || (random() * 2000)::int * 2)::uuid, NULL, false)`,
    ['chat_sessions_pkey', 'conversation_states_pkey', 'chat_messages_session'],
  ],
  [
    'what is monitored',
    'baton_metrics_v1()',
    [
      'conversation_states_lapsing_locks',
      'chat_sessions_living',
      'chat_messages_failed',
      'chat_messages_created',
    ],
  ],
  [
    'what was going on',
    `baton_stats_v1(now() - interval '1 day')`,
    ['lock_events_ended', 'chat_sessions_living', 'chat_sessions_created', 'chat_messages_created'],
  ],
  [
    'a clean-up',
    'baton_clean_v1(500, 30)',
    [
      'conversation_states_lapsing_locks',
      'conversation_states_lapsing_sessions',
      'chat_sessions_activity',
      'chat_messages_erased',
      'lock_events_ended',
      'channel_identities_checked',
    ],
  ],
];

describe.each([false, true])('with the tables analysed: %s', (analysed) => {
  beforeAll(async () => {
    if (analysed) await client.query('ANALYZE');
  });

  it.each(calls)('%s goes by index', async (_, call, indexes) => {
    const plan = await planOf(`SELECT * FROM ${call}`);
    for (const index of indexes) expect(plan).toMatch(new RegExp(`\\b${index}\\b`));
    expect(plan).not.toMatch(/Seq Scan/);
  });

  it('a search in a user’s messages looks at no other’s, however common the word', async () => {
    const plan = await planOf(`SELECT * FROM ${calls[3]?.[1]}`);
    expect(plan).not.toMatch(/chat_messages_search/);
  });

  it('no table is read as a whole by what callers do most: lock, session, history, list, search', async () => {
    const { storage, close } = openPg(database.url, limits, 1);
    const scans = () =>
      counted(
        client,
        `SELECT sum(seq_scan) AS n FROM pg_stat_user_tables WHERE relname IN ('conversation_states', 'chat_sessions', 'chat_messages')`,
      );
    const before = await scans();
    const id = '1d0a7ebf-9ed2-4ef1-8f3b-5a6b0c9f4d11';
    const reach = { owner: null, includeExpired: false };
    const scope: SessionScope = { user: 'u42', device: null, active: null, includeExpired: false };
    await storage.getLock(id as DeviceId);
    await storage.readSession(id, reach);
    await storage.readHistory(id, reach, null, 10);
    await storage.listSessions(scope, null, 50);
    await storage.searchSessions('common', scope, null, 50);
    await close();
    await alone(client);
    expect(await scans()).toBe(before);
  });
});

describe('words that nearly every message has', () => {
  it('are looked for in the newest messages, where more than 100,000 would have them; others in all', async () => {
    const { storage, close } = openPg(database.url, limits, 1);
    const everybody: SessionScope = {
      user: null,
      device: null,
      active: null,
      includeExpired: true,
    };
    const search = async (words: string) => {
      const page = await storage.searchSessions(words, everybody, null, 1);
      return page && [page.partial, page.total];
    };
    const [whole, total = 0] = (await search('common')) ?? [];
    expect(whole).toBe(false);
    expect(total).toBeGreaterThan(SESSIONS - 10);
    // as if as many messages had been deleted since
    await client.query(
      `INSERT INTO chat_messages (id, device_id, session_id, seq, role, content, channel, account, lane, status, sent_at, created_at)
       OVERRIDING SYSTEM VALUE VALUES (1000000, ${device}, ${session}, 21, 'user', 'last', 'chat', 'a', 'builtin', 'answered', now(), now())`,
    );
    const [partial, some = 0] = (await search('common')) ?? [];
    expect(partial).toBe(true);
    // the newest half of the messages are those of half of the sessions
    expect(some).toBeGreaterThan(SESSIONS * 0.4);
    expect(some).toBeLessThan(SESSIONS * 0.6);
    expect(await search('last')).toEqual([false, 1]);
    await close();
  });
});

describe('what the clean-up looks at', () => {
  it('is a batch, however much is past retention', async () => {
    await client.query(
      `BEGIN; UPDATE chat_sessions SET last_activity = now() - interval '31 days', expires_at = now() - interval '30 days'`,
    );
    const plan = await planOf('SELECT * FROM baton_clean_v1(500, 30)');
    await client.query('ROLLBACK');
    const rows = [...plan.matchAll(/actual time=\S+ rows=(\d+)/g)].map(([, n]) => Number(n));
    expect(rows.length).toBeGreaterThan(20);
    expect(Math.max(...rows)).toBeLessThan(2_000);
  });
});

describe('an export', () => {
  /** The most bytes that are held at a time, on the heap and beside it. */
  async function most(
    storage: Storage,
    of: ExportScope,
    read: (text: string) => void,
  ): Promise<number> {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const used = () => {
      gc();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = used();
    let peak = 0;
    let parts = 0;
    for await (const text of exportText({ storage }, of, 'jsonl')) {
      read(text);
      if (parts++ % 10 === 0) peak = Math.max(peak, used() - before);
    }
    return peak;
  }

  it('of 100,000 messages in 5,000 sessions takes a few megabytes of memory, and holds each of them', async () => {
    await client.query(`SET client_min_messages = warning`);
    await client.query(`UPDATE chat_sessions SET user_id = 'one'`);
    const { rows } = await client.query<{ rows: string }>(
      `SELECT (SELECT count(*) FROM chat_sessions) + count(*) AS rows FROM chat_messages m JOIN chat_sessions USING (session_id)`,
    );
    const { storage, close } = openPg(database.url, limits, 1);
    let lines = 0;
    let bytes = 0;
    const of = { user: 'one', device: null, includeExpired: true };
    const peak = await most(storage, of, (text) => {
      lines += text.split('\n').length - 1;
      bytes += text.length;
    });
    await close();
    expect(lines).toBe(Number(rows[0]?.rows));
    expect(lines).toBeGreaterThan(SESSIONS * EACH);
    expect(bytes).toBeGreaterThan(20 * MEBIBYTE);
    expect(peak).toBeLessThan(8 * MEBIBYTE);
  });

  it('of a single thread of 100,000 messages as well, in their order', async () => {
    await client.query(
      `SET client_min_messages = warning; UPDATE chat_messages SET device_id = ${device}, session_id = ${session}, seq = id + 1000, content = id::text`,
    );
    const { rows } = await client.query<{ count: string; id: string }>(
      `SELECT count(*), ${session} AS id FROM chat_messages`,
    );
    const { storage, close } = openPg(database.url, limits, 1);
    let last = 0;
    let lines = 0;
    let isInOrder = true;
    const peak = await most(storage, { session: rows[0]?.id ?? '' }, (text) => {
      for (const [, content] of text.matchAll(/"content":"(\d+)"/g)) {
        isInOrder &&= Number(content) > last;
        last = Number(content);
        lines++;
      }
    });
    await close();
    expect(isInOrder).toBe(true);
    expect(lines).toBe(Number(rows[0]?.count));
    expect(lines).toBeGreaterThan(SESSIONS * EACH - 2_000);
    expect(peak).toBeLessThan(8 * MEBIBYTE);
  });
});
