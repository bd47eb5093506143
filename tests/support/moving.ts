import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import { createRedisStorage } from '../../lib/storage/redis/redis-storage.ts';
import { openUpstash } from '../../lib/storage/redis/upstash.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import { type Outcome, run } from '../dev/command.ts';
import { createDatabase, type TestDatabase } from './postgres.ts';
import type { RedisServer } from './redis.ts';
import { limits } from './storage.ts';
import { startUpstashBridge } from './upstash-bridge.ts';

export const toPostgres = ['--from', 'redis', '--to', 'postgres'];
export const toRedis = ['--from', 'postgres', '--to', 'redis'];

/** Odd, so that none of it is taken for a pattern. */
export const newPrefix = (): string => `{[*?${randomUUID()}]\\:`;

/** A Redis with its bridge, databases, and the command that moves what is in them. */
export interface Moving {
  redis: RedisServer;
  redisAt(prefix: string, kept?: number): Storage;
  postgresAt(database: TestDatabase): Storage;
  another(): Promise<TestDatabase>;
  move(
    args: string[],
    prefix: string,
    database: TestDatabase,
    some?: Record<string, string>,
  ): Promise<Outcome>;
  /** Does something once, when Redis has run the nth pipeline of the command: what reads or writes devices. */
  atPipeline(nth: number, act: () => void): void;
  undisturbed(): void;
  /** Starts the command and kills it there. Gives the signal by which it ended. */
  killedAt(
    nth: number,
    args: string[],
    prefix: string,
    database: TestDatabase,
  ): Promise<NodeJS.Signals | null>;
  close(): Promise<void>;
}

export async function openMoving(): Promise<Moving> {
  const running = new AsyncDisposableStack();
  const bridge = await startUpstashBridge();
  running.defer(() => bridge.close());
  // the tests' own way to Redis, and the command's
  const own = await bridge.enter();
  const entrance = await bridge.enter();
  const impatient = { ...limits, maxAttempts: 1 };
  const settings = (prefix: string, { url }: TestDatabase) => ({
    DATABASE_URL: url,
    UPSTASH_REDIS_REST_URL: entrance.url,
    UPSTASH_REDIS_REST_TOKEN: entrance.token,
    REDIS_KEY_PREFIX: prefix,
    SESSION_MAX_MESSAGES_KEPT: '1000',
  });
  const atPipeline = (nth: number, act: () => void) => {
    let [seen, before] = [0, entrance.commands()];
    entrance.delay(() => {
      if (entrance.commands() - before > 10 && ++seen === nth) act();
      before = entrance.commands();
      return 0;
    });
  };
  const undisturbed = () => entrance.delay(() => 0);
  return {
    redis: bridge.redis,
    redisAt: (prefix, kept = 1_000) =>
      createRedisStorage(openUpstash(own), { prefix, kept, limits: impatient }),
    postgresAt({ url }) {
      const { storage, close } = openPg(url, impatient, 4);
      running.defer(close);
      return storage;
    },
    async another() {
      const database = await createDatabase();
      running.defer(() => database.drop());
      return database;
    },
    move: (args, prefix, database, some = {}) =>
      run('migrate-storage.ts', args, { ...settings(prefix, database), ...some }),
    atPipeline,
    undisturbed,
    async killedAt(nth, args, prefix, database) {
      const file = resolve(import.meta.dirname, '../../dev/migrate-storage.ts');
      const env = { PATH: process.env['PATH'], ...settings(prefix, database) };
      const child = spawn(process.execPath, [file, ...args], { env, stdio: 'ignore' });
      atPipeline(nth, () => child.kill('SIGKILL'));
      await once(child, 'exit');
      undisturbed();
      return child.signalCode;
    },
    close: () => running.disposeAsync(),
  };
}
