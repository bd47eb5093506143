import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '../lib/config.ts';
import type { Config } from '../lib/config.ts';
import { describeError, log, setSink } from '../lib/log.ts';
import { printEvent } from './console.ts';
import { startCron } from './cron.ts';
import { prepareExternalDatabase, startDatabase } from './database.ts';
import { LoadError } from './functions.ts';
import { refuseBareHandlers } from './handlers.ts';
import { listenLocally } from './listen.ts';
import { startServer } from './server.ts';
import { StartupError } from './startup-error.ts';

const usage = `Usage: npm run dev

Serves api/ and public/ on http://127.0.0.1:3000 and answers messages there.
Without DATABASE_URL it keeps everything in a PostgreSQL of its own, in .data.

Settings come from the environment and from .env; .env.example lists them all. Most wanted here:
  PORT          port on 127.0.0.1 (3000)
  DATA_DIR      folder of the embedded database (.data)
  DATABASE_URL  a PostgreSQL of your own in its place
  STORAGE       redis: everything in the Redis of UPSTASH_REDIS_REST_URL
                memory: no database at all; everything is forgotten when this ends

Ctrl+C ends it once the answers under way are out; a second one ends it at once.
`;

const portAttempts = 8;
/** This process's own, beside whatever is set. */
const cronSecret = randomBytes(32).toString('base64url');
const root = resolve(import.meta.dirname, '..');

async function main(args: readonly string[]): Promise<void> {
  if (args.length > 0) {
    process.stdout.write(usage);
    process.exit(args.every((arg) => arg === '--help' || arg === '-h') ? 0 : 1);
  }
  endWithNpm();
  try {
    await run(untilTold());
    process.exit(0);
  } catch (error) {
    console.error(error instanceof StartupError ? error.message : error);
    process.exit(1);
  }
}

async function run(told: AbortSignal): Promise<void> {
  const config = loadConfig();
  await refuseBareHandlers(root);
  await awaitPort(config.port);
  // The functions run in this process, so their log comes here too.
  setSink(printEvent, true);

  // Undone in reverse: first no more cron, then the requests under way, the database last.
  await using running = new AsyncDisposableStack();
  if (config.storage === 'postgres') {
    if (config.databaseUrl === null) {
      const dataDir = resolve(root, config.dataDir);
      process.env['DATABASE_URL'] = await startDatabase(dataDir, running);
    } else {
      // Migrating takes a lock of the session, which a transaction pooler would lose.
      await prepareExternalDatabase(config.directDatabaseUrl ?? config.databaseUrl);
    }
  } else if (config.storage === 'redis') {
    console.log(`storage: Redis at ${new URL(config.cache?.url ?? '').host}`);
  } else console.log('STORAGE=memory: everything is forgotten when this ends.');
  if (told.aborted) return;

  const server = await startServer({ port: config.port, root, onError: report });
  running.defer(() => server.close());
  running.defer(startCron(server.url, cronSecret, report));
  console.log(server.url);
  // the first request makes the app, which warns of open mode: now, and not with the first message
  await fetch(`${server.url}/api/health`, { signal: told }).catch(() => {});
  if (!told.aborted) await once(told, 'abort');
  console.log('stopping');
}

/** Ctrl+C, a kill, a closed terminal; whoever asks twice wants no more waiting. */
function untilTold(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort();
    });
  }
  return controller.signal;
}

function loadConfig(): Config {
  const file = join(root, '.env');
  if (existsSync(file)) process.loadEnvFile(file);
  process.env['CRON_SECRET'] = [cronSecret, process.env['CRON_SECRET']].join(',');
  const read = readConfig(process.env);
  if (!read.ok) throw new StartupError(read.mistakes.join('\n'));
  return read.config;
}

/**
 * npm cannot pass a SIGKILL on, and this process would keep the port for ever. Noticed a moment later,
 * which is why `awaitPort` has patience.
 */
function endWithNpm(): void {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const npm = process.ppid;
  setInterval(() => {
    if (process.ppid !== npm) process.exit(1);
  }, 200).unref();
}

/** Before anything slow is started, and with a sentence that says what to do. */
async function awaitPort(port: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const probe = createServer();
    try {
      await listenLocally(probe, port);
      probe.close();
      await once(probe, 'close');
      return;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      if (code !== 'EADDRINUSE') {
        throw new StartupError(`Port ${port} cannot be used (${code}): set PORT to another one.`);
      }
      if (attempt === portAttempts) {
        throw new StartupError(
          `Port ${port} is taken: end what runs there, or set PORT to another one.`,
        );
      }
      await sleep(100);
    }
  }
}

function report(error: unknown): void {
  if (error instanceof LoadError) console.error(error.message);
  else log('error', 'function_failed', describeError(error));
}

await main(process.argv.slice(2));
