import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleInstance } from './bundle.ts';
import { type Instance, type InstanceOptions, startInstance } from './instances.ts';
import {
  type PostgresBackend,
  type PostgresDatabase,
  startPostgresBackend,
} from './postgres/backend.ts';
import { leaks } from './leaks.ts';
import { type Random, seeded } from './random.ts';
import { type RedisBackend, startRedisBackend } from './redis/backend.ts';
import type { Database, Killable, StorageName } from './storage.ts';

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
  /** The storages it is played over; left out: all. */
  only?: { over: StorageName; because: string };
  run(world: World): Promise<Figure[]>;
}

/** What a scenario plays in. All it opens is closed behind it. */
export interface World {
  full: boolean;
  /** So many in CI, half of them over Redis: all but the storage was played before; so many with --full. */
  size(small: number, full: number): number;
  random: Random;
  /** Shows on a terminal how far it is. */
  progress(done: number, of: number): void;
  database(): Promise<Database>;
  /** What a scenario needs that is played over PostgreSQL only. */
  postgres(): Promise<PostgresDatabase>;
  killable(): Promise<Killable>;
  instance(options: InstanceOptions): Promise<Instance>;
  /** Closes it when the scenario is over, in reverse order. */
  own<T extends { close(): Promise<unknown> }>(thing: T | Promise<T>): Promise<T>;
}

/** The run's own storage, and what runs an instance. */
export interface Server {
  backend: PostgresBackend | RedisBackend;
  /** The file that runs an instance. */
  instanceFile: string;
  close(): Promise<void>;
}

const backends = { postgres: startPostgresBackend, redis: startRedisBackend };

export async function startServer(storage: StorageName): Promise<Server> {
  await using opened = new AsyncDisposableStack();
  const backend = opened.adopt(await backends[storage](), (one) => one.close());
  const folder = opened.adopt(await mkdtemp(join(tmpdir(), 'baton-instance-')), (path) =>
    rm(path, { recursive: true, force: true }),
  );
  const instanceFile = join(folder, 'instance.mjs');
  await bundleInstance(instanceFile);
  const all = opened.move();
  return { backend, instanceFile, close: () => all.disposeAsync() };
}

/** Parts of the small sizes. */
const SMALL = { postgres: 1, redis: 0.5 };

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
  const { backend } = terms.server;
  const figures = await scenario.run({
    full: terms.full,
    size: (small, full) => (terms.full ? full : Math.ceil(small * SMALL[backend.storage])),
    random: seeded(terms.seed, scenario.name),
    progress: terms.progress,
    own,
    database: () => own(backend.database()),
    postgres() {
      if (backend.storage !== 'postgres') throw new Error('it is played over PostgreSQL only');
      return own(backend.database());
    },
    killable: () => own(backend.killable()),
    async instance(options) {
      const instance = await startInstance(terms.server.instanceFile, options);
      opened.defer(() => instance.kill());
      return instance;
    },
  });
  const [leak, ...more] = leaks.find();
  if (leak !== undefined)
    throw new Error(`logged, and not to be: ${leak}, and ${more.length} more`);
  return figures;
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
