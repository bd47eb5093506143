import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { StartupError } from '../startup-error.ts';
import type { Binaries } from './binaries.ts';
import { commandLine, identity } from './launcher.ts';
import type { Launcher } from './launcher.ts';

/** The only role of an embedded cluster. */
export const superuser = 'baton';

/** What lies where in the folder of an embedded server. */
export type Paths = {
  home: string;
  cluster: string;
  password: string;
  /** Who runs the server: process ids of ours and of the server's. */
  owner: string;
  log: string;
};

/** @param home an absolute path; the server's `-D` must not depend on where it is started. */
export function pathsOf(home: string): Paths {
  return {
    home,
    cluster: join(home, 'postgres'),
    password: join(home, 'postgres.password'),
    owner: join(home, 'postgres.owner'),
    log: join(home, 'postgres.log'),
  };
}

/**
 * Makes the cluster on the first start and gives back its password; later starts find both.
 *
 * @param durable false saves half a second by not writing the new files through to the disk
 * @throws {StartupError} with initdb's own words when it fails.
 */
export function ensureCluster(
  paths: Paths,
  binaries: Binaries,
  launcher: Launcher,
  durable: boolean,
): string {
  fs.mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  giveTo(launcher, paths.home);
  if (fs.existsSync(paths.cluster)) return readPassword(paths);

  const password = randomBytes(24).toString('base64url');
  fs.writeFileSync(paths.password, password, { mode: 0o600 });
  giveTo(launcher, paths.password);
  // Made beside and renamed: a start that is killed here must not leave half a cluster behind.
  const unfinished = `${paths.cluster}.unfinished`;
  fs.rmSync(unfinished, { recursive: true, force: true });
  const [command, ...args] = commandLine(launcher, binaries.initdb, [
    ...initdbArgs(unfinished, paths),
    ...(durable ? [] : ['--no-sync']),
  ]);
  const run = spawnSync(command, args, { encoding: 'utf8', ...identity(launcher) });
  if (run.status !== 0) {
    const reason = run.error?.message ?? run.stderr.trim();
    throw new StartupError(`The embedded database could not be made in ${paths.home}: ${reason}`);
  }
  fs.renameSync(unfinished, paths.cluster);
  return password;
}

function initdbArgs(target: string, paths: Paths): string[] {
  return [
    `--pgdata=${target}`,
    `--username=${superuser}`,
    `--pwfile=${paths.password}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    // Text search splits words by LC_CTYPE; only Linux is sure to have this one.
    ...(process.platform === 'linux' ? ['--lc-ctype=C.UTF-8'] : []),
    '--no-instructions',
  ];
}

/** @throws {StartupError} where it is missing */
export function readPassword(paths: Paths): string {
  try {
    return fs.readFileSync(paths.password, 'utf8').trim();
  } catch {
    throw new StartupError(
      `${paths.password} is missing, so the database beside it cannot be opened: ` +
        `put it back, or delete ${paths.home} and lose what it holds.`,
    );
  }
}

function giveTo({ owner }: Launcher, path: string): void {
  if (owner !== undefined) fs.chownSync(path, owner, owner);
}
