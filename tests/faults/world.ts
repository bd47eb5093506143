import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../dev/postgres.ts';
import { migrate } from '../../drizzle/migrate.ts';
import { databaseUrl, runOn } from '../support/postgres.ts';
import { bundleInstance } from './bundle.ts';
import { type Instance, type InstanceOptions, startInstance } from './instances.ts';
import { type Random, seeded } from './random.ts';

/** One line of the table: what was counted, of how many, and how much of it there may be. */
export interface Figure {
  what: string;
  n: number;
  found: number;
  atMost: number;
  /** `ms`: found is the longest time; left out: a count. */
  unit?: 'ms';
}

/** Faults of one kind, and what must hold under them. */
export interface Scenario {
  /** For --only. */
  name: string;
  /** One sentence for --help. */
  about: string;
  run(world: World): Promise<Figure[]>;
}

/** A database that nobody else uses. */
export interface Database {
  url: string;
  /** Runs a statement, past every instance and wire. */
  sql<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** What a scenario plays in. All it opens is closed behind it. */
export interface World {
  full: boolean;
  /** So many in CI, so many with --full. */
  size(small: number, full: number): number;
  random: Random;
  /** Shows on a terminal how far it is. */
  progress(done: number, of: number): void;
  database(): Promise<Database>;
  instance(options: InstanceOptions): Promise<Instance>;
  /** Closes it when the scenario is over, in reverse order. */
  own<T extends { close(): Promise<unknown> }>(thing: T | Promise<T>): Promise<T>;
}

/** The run's own PostgreSQL, with a migrated database to copy. */
export interface Server {
  url: string;
  /** The file that runs an instance. */
  instanceFile: string;
  close(): Promise<void>;
}

const TEMPLATE = 'baton_template';

export async function startServer(): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-faults-'));
  const instanceFile = join(dataDir, 'instance.mjs');
  const remove = () => rm(dataDir, { recursive: true, force: true });
  const settings = { fsync: 'off', max_connections: 200 };
  const server = await startPostgres({ dataDir, settings }).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const close = async () => {
    await server.stop();
    await remove();
  };
  try {
    await runOn(server.url, `CREATE DATABASE ${TEMPLATE}`);
    await migrate(databaseUrl(server.url, TEMPLATE));
    await runOn(server.url, `ALTER DATABASE ${TEMPLATE} ALLOW_CONNECTIONS false`);
    await bundleInstance(instanceFile);
  } catch (error) {
    await close();
    throw error;
  }
  return { url: server.url, instanceFile, close };
}

export interface Terms {
  server: Server;
  seed: number;
  full: boolean;
  progress(done: number, of: number): void;
}

/** What hangs has broken a promise too; what it leaves behind ends with the process. */
async function inTime<T>(work: Promise<T>, full: boolean): Promise<T> {
  const minutes = full ? 30 : 3;
  const timer = Promise.withResolvers<never>();
  const late = setTimeout(
    () => timer.reject(new Error(`not over after ${minutes} minutes`)),
    minutes * 60_000,
  );
  try {
    return await Promise.race([work, timer.promise]);
  } finally {
    clearTimeout(late);
  }
}

/** Plays a scenario in a world of its own, in half an hour at most, in three minutes if it is a small one. */
export const play = (scenario: Scenario, terms: Terms): Promise<Figure[]> =>
  inTime(playOut(scenario, terms), terms.full);

async function playOut(scenario: Scenario, terms: Terms): Promise<Figure[]> {
  await using opened = new AsyncDisposableStack();
  const own: World['own'] = async (thing) => {
    const opening = await thing;
    opened.defer(async () => void (await opening.close()));
    return opening;
  };
  return await scenario.run({
    full: terms.full,
    size: (small, full) => (terms.full ? full : small),
    random: seeded(terms.seed, scenario.name),
    progress: terms.progress,
    own,
    database: () => own(createDatabase(terms.server)),
    async instance(options) {
      const instance = await startInstance(terms.server.instanceFile, options);
      opened.defer(() => instance.kill());
      return instance;
    },
  });
}

async function createDatabase(server: Server): Promise<Database & { close(): Promise<void> }> {
  const name = `faults_${randomBytes(8).toString('hex')}`;
  await runOn(server.url, `CREATE DATABASE ${name} TEMPLATE ${TEMPLATE} STRATEGY file_copy`);
  const url = databaseUrl(server.url, name);
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  pool.on('error', () => {}); // dropping the database ends its idle connections
  return {
    url,
    sql: async (text, values = []) => (await pool.query(text, [...values])).rows,
    async close() {
      await pool.end();
      await runOn(server.url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** Runs jobs, so many at a time. */
export async function inParallel<T>(
  width: number,
  jobs: readonly (() => Promise<T>)[],
  onDone: (done: number, of: number) => void = () => {},
): Promise<T[]> {
  const results: T[] = [];
  const queue = jobs.entries();
  let done = 0;
  const one = async (): Promise<void> => {
    for (const [i, job] of queue) {
      results[i] = await job();
      onDone(++done, jobs.length);
    }
  };
  await Promise.all(Array.from({ length: width }, one));
  return results;
}
