import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { listenLocally } from './listen.ts';
import { findBinaries } from './postgres/binaries.ts';
import { ensureCluster, pathsOf, superuser } from './postgres/cluster.ts';
import type { Paths } from './postgres/cluster.ts';
import { commandLine, findLauncher, identity } from './postgres/launcher.ts';
import { awaitDeparture, recordOwner } from './postgres/predecessor.ts';
import { StartupError } from './startup-error.ts';

/** A running embedded server. */
export type Postgres = {
  url: string;
  port: number;
  pid: number;
  /** Ends connections and shuts down; returns within some 15 seconds, whatever the server does. */
  stop(): Promise<void>;
};

export type PostgresOptions = {
  /** Folder of the cluster, its password and its log; made if missing. */
  dataDir: string;
  /** Port on 127.0.0.1; a free one if left out. */
  port?: number;
  /** Server settings, as `-c name=value`. */
  settings?: Readonly<Record<string, string | number>>;
};

const startMs = 30_000;
const fastStopMs = 10_000;
const immediateStopMs = 4_000;
const portAttempts = 5;

/**
 * Starts a real PostgreSQL on 127.0.0.1 and returns once it answers. The first start makes the
 * cluster (some 1.2 s); later ones reuse it and its password, also after a `kill -9`.
 *
 * @throws {StartupError} when it cannot run here, when another server uses the folder, or when the
 *   given port is taken.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const paths = pathsOf(resolve(options.dataDir));
  const binaries = findBinaries();
  const launcher = findLauncher(binaries.postgres);
  const password = ensureCluster(paths, binaries, launcher, options.settings?.['fsync'] !== 'off');
  await awaitDeparture(paths);

  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const command = commandLine(launcher, binaries.postgres, serverArgs(paths, port, options));
    const server = spawnServer(command, paths, identity(launcher));
    const url = `postgres://${superuser}:${password}@127.0.0.1:${port}/postgres`;
    try {
      await untilAnswers(server, url, paths);
    } catch (error) {
      await stop(server);
      if (!portTaken(paths)) throw error;
      if (options.port !== undefined) {
        throw new StartupError(`Port ${port}, meant for the embedded database, is taken.`);
      }
      if (attempt === portAttempts) throw error;
      continue;
    }
    return { url, port, pid: server.pid ?? 0, stop: () => stop(server) };
  }
}

function serverArgs(paths: Paths, port: number, { settings = {} }: PostgresOptions): string[] {
  const all: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...settings,
  };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', paths.cluster, '-p', String(port), ...flags];
}

function spawnServer(
  [command, ...args]: [string, ...string[]],
  paths: Paths,
  user: { uid?: number; gid?: number },
): ChildProcess {
  const log = openSync(paths.log, 'w', 0o600);
  // Its own session: Ctrl+C must reach us alone, so that requests under way can still finish.
  const server = spawn(command, args, {
    stdio: ['ignore', log, log],
    detached: true,
    windowsHide: true,
    ...user,
  });
  closeSync(log);
  server.on('error', () => undefined);
  if (server.pid !== undefined) recordOwner(paths, server.pid);
  return server;
}

async function untilAnswers(server: ChildProcess, url: string, paths: Paths): Promise<void> {
  const deadline = Date.now() + startMs;
  // Its own word first: on a port that is taken, it is another server that would answer.
  while (!lastWords(paths).includes('ready to accept connections')) {
    if (hasEnded(server) || Date.now() > deadline) {
      throw new StartupError(`The embedded database did not start:\n${lastWords(paths)}`);
    }
    await sleep(5);
  }
  const failure = await ask(url);
  if (failure === '28P01') {
    throw new StartupError(
      `The password in ${paths.password} is not the database's: put the right one back, ` +
        `or delete ${paths.home} and lose what it holds.`,
    );
  }
  if (failure !== undefined) throw new StartupError(`The embedded database fails: ${failure}`);
}

/** @returns nothing when the server answered, else the error's code. */
async function ask(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function stop(server: ChildProcess): Promise<void> {
  // INT: fast shutdown. QUIT: at once, the next start recovers from the log. KILL: no other way.
  for (const [signal, patienceMs] of [
    ['SIGINT', fastStopMs],
    ['SIGQUIT', immediateStopMs],
    ['SIGKILL', immediateStopMs],
  ] as const) {
    if (hasEnded(server)) return;
    const gone = once(server, 'exit');
    server.kill(signal);
    const patience = new AbortController();
    await Promise.race([
      gone,
      sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
  }
}

function hasEnded(server: ChildProcess): boolean {
  return server.pid === undefined || server.exitCode !== null || server.signalCode !== null;
}

function portTaken(paths: Paths): boolean {
  return lastWords(paths).includes('could not bind');
}

function lastWords(paths: Paths): string {
  return readFileSync(paths.log, 'utf8').trim().split('\n').slice(-10).join('\n');
}

async function freePort(): Promise<number> {
  const probe = createServer();
  const port = await listenLocally(probe);
  probe.close();
  await once(probe, 'close');
  return port;
}
