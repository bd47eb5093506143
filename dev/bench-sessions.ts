import { parseArgs } from 'node:util';
import pg from 'pg';
import { openPg } from '../lib/storage/postgres/pg.ts';
import type { DeviceId, SessionScope } from '../lib/storage/storage.ts';
import { limits } from './bench/limits.ts';
import { at, timesOf } from './bench/measure.ts';
import { startScratch } from './bench/scratch.ts';
import { runCommand } from './connect.ts';
import { showProgress } from './progress.ts';
import { EACH, seed } from './seed/rows.ts';
import { StartupError } from './startup-error.ts';
import { tableLines } from './table.ts';

const usage = `Usage: npm run bench:sessions [-- --sizes 10000,1000000 --calls 400]

Fills a PostgreSQL of its own with chat sessions up to each size, in messages, and measures at each what callers do
most, beside a bare SELECT of a row by its key. Prints medians in milliseconds, and by how much the ratio to that
SELECT grows from the first size to the last: by at most 1.5, or the exit code is 1.
`;

const most = 1.5;
interface Sample {
  session: string;
  device: DeviceId;
  user: string;
}

/** Medians of each call, by its name; the bare SELECT first. */
async function measure(
  url: string,
  client: pg.Client,
  calls: number,
): Promise<Map<string, number>> {
  const { rows } = await client.query<Sample>(
    `SELECT session_id AS session, device_id AS device, user_id AS user FROM chat_sessions
     WHERE expires_at > now() ORDER BY random() LIMIT 1000`,
  );
  const { storage, close } = openPg(url, limits, 1);
  const reach = { owner: null, includeExpired: true };
  const of = (user: string): SessionScope => ({
    user,
    device: null,
    active: null,
    includeExpired: true,
  });
  const bare = (text: string) => (id: string) => client.query({ name: text, text, values: [id] });
  const byKey = bare('SELECT * FROM chat_sessions WHERE session_id = $1');
  const operations: Record<string, (sample: Sample) => Promise<unknown>> = {
    'SELECT by key': ({ session }) => byKey(session),
    'lock get': ({ device }) => storage.getLock(device),
    history: ({ session }) => storage.readHistory(session, reach, null, 20),
    'list of a user': ({ user }) => storage.listSessions(of(user), null, 50),
    'search by a user': ({ user }) => storage.searchSessions('refund invoice', of(user), null, 50),
  };
  const times: Record<string, number[]> = {};
  // in turns, so that what else the machine does hits all alike; the first round warms up
  for (let round = 0; round <= 10; round++) {
    for (const [name, call] of Object.entries(operations)) {
      const some = await timesOf(Math.ceil(calls / 10), async (random) => {
        const sample = rows[Math.floor(random * rows.length)];
        if (sample !== undefined) await call(sample);
      });
      if (round > 0) (times[name] ??= []).push(...some);
    }
  }
  await close();
  return new Map(
    Object.entries(times).map(([name, all]) => [
      name,
      at(
        0.5,
        all.toSorted((a, b) => a - b),
      ),
    ]),
  );
}

async function run(sizes: readonly number[], calls: number): Promise<void> {
  await using running = new AsyncDisposableStack();
  const url = await startScratch(running);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  running.defer(() => client.end());
  const measured: Map<string, number>[] = [];
  let made = 0;
  for (const size of sizes) {
    const sessions = Math.ceil(size / EACH);
    const progress = showProgress((sessions - made) * EACH, 'messages');
    await seed(client, made, sessions, progress.add);
    progress.end();
    made = sessions;
    await client.query('VACUUM ANALYZE');
    measured.push(await measure(url, client, calls));
  }
  report(sizes, measured);
}

function report(sizes: readonly number[], measured: readonly Map<string, number>[]): void {
  const names = [...(measured[0]?.keys() ?? [])];
  const ratio = (name: string, medians: Map<string, number> | undefined) =>
    (medians?.get(name) ?? NaN) / (medians?.get(names[0] ?? '') ?? NaN);
  const growth = (name: string) => ratio(name, measured.at(-1)) / ratio(name, measured[0]);
  const head = ['median, ms', ...sizes.flatMap((size) => [`${size}`, '×']), 'growth'];
  const rows = names.map((name) => [
    name,
    ...measured.flatMap((medians) => [
      (medians.get(name) ?? NaN).toFixed(2),
      ratio(name, medians).toFixed(2),
    ]),
    growth(name).toFixed(2),
  ]);
  console.log(tableLines(head, rows).join('\n'));
  const worst = Math.max(...names.map(growth));
  const holds = worst <= most;
  console.log(`${holds ? 'holds' : 'FAILS'}  no ratio to the SELECT grows by more than ${most}`);
  if (!holds) process.exitCode = 1;
}

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000,1000000' },
    calls: { type: 'string', default: '400' },
    help: { type: 'boolean', short: 'h' },
  },
});

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  const sizes = values.sizes.split(',').map(Number);
  const calls = Number(values.calls);
  if (![...sizes, calls].every((n) => Number.isInteger(n) && n > 0)) {
    throw new StartupError(
      '--sizes and --calls take whole numbers: npm run bench:sessions -- --help',
    );
  }
  await run(sizes, calls);
});
