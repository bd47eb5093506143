import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type App, createApp } from '../lib/app.ts';
import { type Config, readConfig } from '../lib/config.ts';
import { setSink } from '../lib/log.ts';
import { printEvent } from './console.ts';
import { startPostgres } from './postgres.ts';
import { pathsOf } from './postgres/cluster.ts';
import { findRunning } from './postgres/predecessor.ts';
import { StartupError } from './startup-error.ts';

// How a command of an operator comes to the database: the one of the settings, or the one that `npm run dev` keeps.

const root = resolve(import.meta.dirname, '..');

/** For every command's `--help`. */
export const settingsUsage = `Works on the database of DATABASE_URL or, where that is not set, on the one of "npm run dev", which may run meanwhile.
Settings come from the environment and from .env, or from another file:
  --settings FILE  such as the one that "vercel env pull" writes
`;

/** The options that go with it. */
export const settingsOptions = {
  settings: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * @param file in place of .env
 * @throws {StartupError} with a sentence for each mistake in the settings
 */
export function loadSettings(file: string | undefined): Config {
  const config = readSettings(file);
  if (config.storage !== 'postgres') {
    throw new StartupError('STORAGE is not postgres: what other storages keep, nobody else sees.');
  }
  return config;
}

/** The same, whatever STORAGE is. */
export function readSettings(file: string | undefined): Config {
  const usual = resolve(root, '.env');
  if (file !== undefined && !existsSync(file)) throw new StartupError(`There is no file ${file}.`);
  if (file !== undefined || existsSync(usual)) process.loadEnvFile(file ?? usual);
  const read = readConfig(process.env);
  if (!read.ok) throw new StartupError(read.mistakes.join('\n'));
  return read.config;
}

/**
 * A direct URL of the database, which is started if it is the embedded one and does not run, and ended with `running`.
 *
 * @throws {StartupError} where there is none yet
 */
export async function openDatabase(config: Config, running: AsyncDisposableStack): Promise<string> {
  const url = config.directDatabaseUrl ?? config.databaseUrl;
  if (url !== null) return url;
  const home = resolve(root, config.dataDir);
  const paths = pathsOf(home);
  if (!existsSync(paths.cluster)) {
    throw new StartupError(
      `DATABASE_URL is not set, and there is no database in ${home}: "npm run dev" makes it.`,
    );
  }
  const found = findRunning(paths);
  if (found !== null) return found;
  const server = await startPostgres({ dataDir: home });
  running.defer(() => server.stop());
  return server.url;
}

/** The deployment's own parts, over the database and the driver that its functions use. Its log is printed. */
export async function openApp(config: Config, running: AsyncDisposableStack): Promise<App> {
  setSink((event) => {
    if (event.event !== 'open_mode') printEvent(event);
  });
  const databaseUrl = config.databaseUrl ?? (await openDatabase(config, running));
  const app = await createApp({ ...config, databaseUrl });
  running.defer(() => app.close());
  return app;
}

/**
 * Runs a command, and ends the process: what a person can act on is said without a stack, with exit code 1. Left to
 * itself, the timer by which the platform ends idle connections would keep it for five more seconds.
 */
export async function runCommand(command: () => Promise<void>): Promise<void> {
  try {
    await command();
  } catch (error) {
    const said = error instanceof Error && ['StartupError', 'BatonError'].includes(error.name);
    console.error(said ? error.message : error);
    process.exitCode = 1;
  }
  process.exit();
}
