import { randomUUID } from 'node:crypto';
import { call, clean, isSuccess, say } from '../client.ts';
import { comesTrue, unanswered } from '../ledger.ts';
import type { PostgresDatabase } from '../postgres/backend.ts';
import { inParallel, type Scenario, type World } from '../world.ts';

const DEVICES = 8;

/** Lets everything of a device end at this moment, and gives it an old session with messages past retention. */
async function litter({ sql }: PostgresDatabase, device: string): Promise<void> {
  await sql(
    `WITH old AS (
       INSERT INTO chat_sessions (session_id, device_id, channel, created_at, last_activity, expires_at)
       SELECT gen_random_uuid(), $1, 'web', t, t, t FROM (SELECT baton_now_v1() - interval '40 days' AS t) q
       RETURNING session_id, created_at)
     INSERT INTO chat_messages (device_id, session_id, role, content, channel, account, lane, status, sent_at, created_at)
     SELECT $1, session_id, 'user', 'old', 'web', $1::text, 'builtin', 'recorded', created_at, created_at
     FROM old, generate_series(1, 5)`,
    [device],
  );
  await sql(
    `UPDATE conversation_states SET lock_expires_at = baton_now_v1(), session_expires_at = baton_now_v1() WHERE device_id = $1`,
    [device],
  );
}

interface Seen {
  /** Rows that were written, and are to be there. */
  rows: number;
  /** Those that were not. */
  gone: number;
  messages: string[];
  sessions: Set<string>;
}

/** Speaks, then holds the conversation under another name, and looks whether what was written is there. */
async function live(
  world: World,
  database: PostgresDatabase,
  url: string,
  device: string,
  seen: Seen,
): Promise<void> {
  await litter(database, device);
  const id = randomUUID();
  const said = await say(url, device, id, 'hello');
  if (isSuccess(said)) {
    seen.messages.push(id);
    seen.sessions.add(String(said.json['session_id']));
    seen.rows += 4; // the message, its reply, the session, the lock that the agent took
    const lock = await call(url, 'GET', '/api/lock', { device });
    if (lock.json['active_agent'] !== 'clerk') seen.gone++;
  }
  await litter(database, device);
  const agent = `a${world.random.int(100)}`;
  const set = await call(url, 'PUT', '/api/lock', { device, body: { agent, session_ttl: 60 } });
  const got = await call(url, 'GET', '/api/lock', { device });
  seen.rows++;
  if (got.json['version'] !== set.json['version'] || got.json['active_agent'] !== agent)
    seen.gone++;
}

export const cleaners: Scenario = {
  name: 'cleaners',
  about:
    'two cleaners at once, beside devices whose locks and sessions end at the moment they are renewed',
  only: {
    over: 'postgres',
    because: 'in Redis a clean-up is one script, beside which nothing else is done',
  },
  async run(world) {
    const database = await world.postgres();
    const options = { database, env: { RETENTION_DAYS: '1', TURN_LEASE: '30' } };
    const { url } = await world.instance(options);
    const cleaning = [await world.instance(options), await world.instance(options)];
    const seen: Seen = { rows: 0, gone: 0, messages: [], sessions: new Set() };
    const wanted = world.size(2_000, 10_000);
    const cleaned = { locks: 0, sessions: 0, messages: 0 };
    let over = false;
    const cleaners = cleaning.map(async (instance) => {
      // oxlint-disable-next-line no-unmodified-loop-condition -- set once the devices are done
      while (!over) {
        const { json } = await clean(instance.url);
        cleaned.locks += Number(json['expired_locks']);
        cleaned.sessions += Number(json['expired_sessions']);
        cleaned.messages += Number(json['purged_messages']);
      }
    });
    const devices = Array.from({ length: DEVICES }, () => randomUUID());
    await inParallel(
      DEVICES,
      devices.map((device) => async () => {
        while (seen.rows < wanted) {
          await live(world, database, url, device, seen);
          world.progress(seen.rows, wanted);
        }
      }),
    );
    const left = async () => {
      const [row] = await database.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM chat_messages WHERE content = 'old'`,
      );
      return row?.n ?? 0;
    };
    const isSwept = await comesTrue(async () => (await left()) === 0);
    over = true;
    await Promise.all(cleaners);
    const [kept] = await database.sql<{ replies: number; sessions: number }>(
      `SELECT (SELECT count(*) FROM chat_messages WHERE role = 'assistant' AND content <> '')::int AS replies,
         (SELECT count(*) FROM chat_sessions WHERE session_id = ANY ($1))::int AS sessions`,
      [[...seen.sessions]],
    );
    const gone =
      seen.gone +
      (await unanswered(database, seen.messages)) +
      (seen.messages.length - (kept?.replies ?? 0)) +
      (seen.sessions.size - (kept?.sessions ?? 0));
    const swept = cleaned.locks + cleaned.sessions + cleaned.messages;
    return [
      {
        what: 'live rows deleted by two cleaners under load',
        n: seen.rows,
        found: gone,
        atMost: 0,
      },
      { what: 'old rows that they left', n: swept, found: isSwept ? 0 : await left(), atMost: 0 },
    ];
  },
};
