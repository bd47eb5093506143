import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { openPg } from '../lib/storage/postgres/pg.ts';
import type { DeviceId, Storage } from '../lib/storage/storage.ts';
import { limits } from './bench/limits.ts';
import { at, type Times } from './bench/measure.ts';
import { startScratch } from './bench/scratch.ts';
import { runCommand } from './connect.ts';
import { showProgress } from './progress.ts';
import { StartupError } from './startup-error.ts';
import { tableLines } from './table.ts';

const usage = `Usage: npm run bench:cleanup [-- --rows 1000000 --expired 100000 --readers 16 --seconds 10]

Fills a PostgreSQL of its own with devices that hold a lock and a chat session, lets some of them be past retention,
and cleans up while readers read the locks of the others. Prints what the readers saw before, meanwhile and after. The
exit code is 1 if their 95th percentile was more than twice what it was before, or a live row is gone.

  --seconds  that are measured before and after (10)
`;

const most = 2;
/** Rows of each kind in a statement, as lib/cleanup.ts takes them. */
const batch = 500;
const chunk = 20_000;

/** Devices, each with a live lock and session and one message; the first ones' ended 31 days ago. */
async function fill(client: pg.Client, rows: number, expired: number): Promise<void> {
  const progress = showProgress(rows, 'devices');
  for (let from = 1; from <= rows; from += chunk) {
    const to = Math.min(rows, from + chunk - 1);
    await client.query(
      `WITH made AS MATERIALIZED (
         SELECT md5('d' || g)::uuid AS device_id, md5('s' || g)::uuid AS session_id,
           now() + CASE WHEN g <= $3 THEN interval '-31 days' ELSE interval '1 day' END AS ends
         FROM generate_series($1::int, $2::int) g),
       states AS (
         INSERT INTO conversation_states (device_id, active_agent, locked_at, lock_expires_at, lock_version, session_id, session_expires_at)
         SELECT device_id, 'billing', ends - interval '2 days', ends, nextval('baton_versions'), session_id, ends FROM made),
       sessions AS (
         INSERT INTO chat_sessions (session_id, device_id, channel, message_count, created_at, last_activity, expires_at)
         SELECT session_id, device_id, 'chat', 1, ends - interval '2 days', ends, ends FROM made)
       INSERT INTO chat_messages (device_id, session_id, seq, role, content, channel, account, lane, status, sent_at, created_at)
       SELECT device_id, session_id, 1, 'user', 'Where is my parcel?', 'chat', 'a', 'builtin', 'answered', ends, ends FROM made`,
      [from, to, expired],
    );
    progress.add(to - from + 1);
  }
  progress.end();
  await client.query('VACUUM ANALYZE');
}

/** Workers that read live locks, one after the other, until they are told to stop. */
function readLocks(storage: Storage, readers: number, devices: readonly DeviceId[]) {
  let times: number[] = [];
  let missing = 0;
  const told = new AbortController();
  const read = async (): Promise<void> => {
    while (!told.signal.aborted) {
      const device = devices[Math.floor(Math.random() * devices.length)];
      if (device === undefined) return;
      const started = performance.now();
      if ((await storage.getLock(device)).lock === null) missing++;
      times.push(performance.now() - started);
    }
  };
  const work = Promise.all(Array.from({ length: readers }, read));
  return {
    /** What was read since the last time. */
    take(): Times {
      const taken = times.toSorted((a, b) => a - b);
      times = [];
      return taken;
    },
    async stop(): Promise<number> {
      told.abort();
      await work;
      return missing;
    },
  };
}

async function cleanAll(storage: Storage): Promise<{ removed: string; seconds: number }> {
  const started = performance.now();
  const sums = { locks: 0, sessions: 0, messages: 0 };
  for (let more = true; more;) {
    const done = await storage.cleanUp(batch);
    sums.locks += done.expiredLocks;
    sums.sessions += done.expiredSessions;
    sums.messages += done.purgedMessages;
    ({ more } = done);
  }
  const removed = Object.entries(sums).map(([kind, n]) => `${n} ${kind}`);
  return { removed: removed.join(', '), seconds: (performance.now() - started) / 1_000 };
}

async function run(rows: number, expired: number, readers: number, seconds: number): Promise<void> {
  const restMs = seconds * 1_000;
  await using running = new AsyncDisposableStack();
  const url = await startScratch(running);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  running.defer(() => client.end());
  await fill(client, rows, expired);
  const { rows: sample } = await client.query<{ device: DeviceId }>(
    `SELECT device_id AS device FROM conversation_states TABLESAMPLE SYSTEM (5) WHERE lock_expires_at > now() LIMIT 20000`,
  );
  const reading = openPg(url, limits, readers);
  const cleaning = openPg(url, limits, 1);
  running.defer(() => Promise.all([reading.close(), cleaning.close()]).then(() => undefined));
  const workers = readLocks(
    reading.storage,
    readers,
    sample.map(({ device }) => device),
  );
  await sleep(restMs / 4); // connections, and plans
  workers.take();
  await sleep(restMs);
  const before = workers.take();
  const cleaned = await cleanAll(cleaning.storage);
  const meanwhile = workers.take();
  await sleep(restMs);
  const after = workers.take();
  const missing = await workers.stop();
  const { rows: left } = await client.query<{ n: string }>(
    `SELECT (SELECT count(*) FROM conversation_states WHERE active_agent IS NOT NULL AND session_id IS NOT NULL)
       + (SELECT count(*) FROM chat_sessions) + (SELECT count(*) FROM chat_messages) AS n`,
  );

  const line = (name: string, times: Times) => [
    name,
    times.length,
    at(0.5, times).toFixed(2),
    at(0.95, times).toFixed(2),
    at(0.99, times).toFixed(2),
  ];
  const table = [line('before', before), line('meanwhile', meanwhile), line('after', after)];
  console.log(tableLines(['reads of locks', 'n', 'median, ms', '95th', '99th'], table).join('\n'));
  console.log(`cleaned up: ${cleaned.removed}, in ${cleaned.seconds.toFixed(1)} s`);
  judge(
    'the 95th percentile is at most twice what it was',
    at(0.95, meanwhile) <= most * at(0.95, before),
  );
  judge('no live row is gone', missing === 0 && Number(left[0]?.n) === 3 * (rows - expired));
}

function judge(claim: string, holds: boolean): void {
  console.log(`${holds ? 'holds' : 'FAILS'}  ${claim}`);
  if (!holds) process.exitCode = 1;
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    expired: { type: 'string', default: '100000' },
    readers: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '10' },
    help: { type: 'boolean', short: 'h' },
  },
});

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  const { rows: all, expired: some, readers: many, seconds: long } = values;
  const [rows = 0, expired = 0, readers = 0, seconds = 0] = [all, some, many, long].map(Number);
  if (
    ![rows, expired, readers, seconds].every((n) => Number.isInteger(n) && n > 0) ||
    expired > rows
  ) {
    throw new StartupError('They are whole numbers: npm run bench:cleanup -- --help');
  }
  await run(rows, expired, readers, seconds);
});
