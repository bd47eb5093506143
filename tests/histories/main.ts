import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../dev/postgres.ts';
import { StartupError } from '../../dev/startup-error.ts';
import { migrate } from '../../drizzle/migrate.ts';
import { databaseUrl, runOn } from '../support/postgres.ts';
import { faults } from './faults/faults.ts';
import { hunt } from './faults/hunt.ts';
import { type Counts, play } from './play.ts';
import { reportOf, tableOf } from './report.ts';

const usage = `Usage: npm run histories [-- --minutes 10] [--seed N] [--workers 24] [--faults]

Lets many workers loose on a PostgreSQL of its own, each on its own connections, with leases of 100 ms; they stall,
let fall, send twice, meddle with locks, and their backends are terminated at random. Every call is written down, and
the histories are held against what the storage promises. Exit code 1: a promise was broken; the calls that show it
are printed.

  --minutes N  how long it plays and checks (10), in rounds of some ten seconds
  --seed N     repeats a run's choices, not its timing (a random one, printed)
  --workers N  (24)
  --faults     instead: plants one known defect after the other and says how long the checker takes to find it, on a
               quiet machine seconds; what does not show within a minute is missed

Ctrl+C ends the round under way, checks it, and tells what was seen so far.
`;

const ROUND_MS = 10_000;

interface Settings {
  minutes: number;
  seed: number;
  workers: number;
  /** Ctrl+C. */
  signal: AbortSignal;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: String(1 + Math.floor(Math.random() * 2 ** 32)) },
      workers: { type: 'string', default: '24' },
      faults: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const settings = {
    minutes: positive('minutes', values.minutes, 24 * 60),
    seed: positive('seed', values.seed, 2 ** 32),
    workers: positive('workers', values.workers, 100),
    signal: untilTold(),
  };
  console.log(
    `seed ${settings.seed}, ${settings.workers} workers, ${availableParallelism()} cores`,
  );
  await using running = new AsyncDisposableStack();
  const server = await serve(running, settings.workers);
  const isWell = values.faults ? await findAll(server, settings) : await playOut(server, settings);
  process.exitCode = isWell ? 0 : 1;
}

/** @throws {StartupError} for anything but a number above 0 and up to `most` */
function positive(name: string, text: string, most: number): number {
  const value = Number(text);
  if (value > 0 && value <= most) return value;
  throw new StartupError(`--${name} is a number above 0, at most ${most}.`);
}

/** Ends with the first Ctrl+C; a second one ends the process. */
function untilTold(): AbortSignal {
  const told = new AbortController();
  process.once('SIGINT', () => told.abort());
  return told.signal;
}

/** A server in a folder that is removed with it. */
async function serve(running: AsyncDisposableStack, workers: number): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-histories-'));
  running.defer(() => rm(dataDir, { recursive: true, force: true }));
  const settings = { fsync: 'off', max_connections: 2 * workers + 20 };
  const server = await startPostgres({ dataDir, settings });
  running.defer(() => server.stop());
  await runOn(server.url, 'CREATE DATABASE baton');
  await migrate(databaseUrl(server.url, 'baton'));
  return server.url;
}

async function playOut(server: string, { minutes, ...settings }: Settings): Promise<boolean> {
  const url = databaseUrl(server, 'baton');
  const started = performance.now();
  const forMs = minutes * 60_000;
  const onRound = showProgress(started);
  const result = await play({ url, ...settings, forMs, roundMs: ROUND_MS, onRound });
  if (process.stdout.isTTY) process.stdout.write('\n');
  console.log(`\n${tableOf(result.counts)}\n`);
  if (result.violations.length === 0) console.log('every promise was kept');
  else console.log(`${reportOf(result)}\n\nAgain: npm run histories -- --seed ${settings.seed}`);
  return result.violations.length === 0;
}

/** One line that is written over on a terminal, one a minute elsewhere. */
function showProgress(started: number): (counts: Counts) => void {
  let told = 0;
  return (counts) => {
    const seconds = Math.round((performance.now() - started) / 1_000);
    const line = `${seconds} s: ${counts.calls} calls, ${counts.grants} turns, ${counts.kills} kills, ${counts.violations} violations`;
    if (process.stdout.isTTY) process.stdout.write(`\r${line}`);
    else if (seconds - told >= 60) {
      told = seconds;
      console.log(line);
    }
  };
}

async function findAll(server: string, { seed, workers, signal }: Settings): Promise<boolean> {
  let missed = 0;
  for (const [index, [name, fault]] of Object.entries(faults).entries()) {
    if (signal.aborted) return false;
    const started = performance.now();
    const database = `fault_${index}`;
    await runOn(server, `CREATE DATABASE ${database} TEMPLATE baton STRATEGY file_copy`);
    const url = databaseUrl(server, database);
    const { violations } = await hunt({ url, fault, seed, workers, signal });
    await runOn(server, `DROP DATABASE ${database} WITH (FORCE)`);
    const isFound = violations.some(({ rule }) => rule === fault.breaks);
    if (!isFound) missed++;
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    console.log(`${isFound ? 'found ' : 'MISSED'}  ${seconds.padStart(5)} s  ${name}`);
  }
  console.log(missed === 0 ? 'every fault was found' : `${missed} faults were missed`);
  return missed === 0;
}

/** A sentence for whoever typed the command. */
function isOurs(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return error instanceof StartupError || code.startsWith('ERR_PARSE_ARGS');
}

try {
  await main();
} catch (error) {
  console.error(isOurs(error) ? error.message : error);
  process.exitCode = 1;
}
