import { relative } from 'node:path';
import { migrate } from '../drizzle/migrate.ts';
import { startPostgres } from './postgres.ts';
import { StartupError } from './startup-error.ts';

/** Longer than connecting may take; a database that hangs must not keep the server from starting. */
const patienceMs = 15_000;

/**
 * Starts the embedded PostgreSQL, migrated, and ends it with `running`.
 *
 * @returns its URL
 * @throws {StartupError} when it cannot run or cannot be migrated.
 */
export async function startDatabase(
  dataDir: string,
  running: AsyncDisposableStack,
): Promise<string> {
  const started = performance.now();
  const server = await startPostgres({ dataDir });
  running.defer(() => server.stop());
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `database: PostgreSQL in ${relative(process.cwd(), dataDir) || '.'}, up in ${seconds} s`,
  );
  await migrate(server.url, printStep).catch((error: unknown) => {
    throw new StartupError(`The database in ${dataDir} was not migrated: ${reasonOf(error)}`);
  });
  return server.url;
}

/** Migrates a database of the user's own; when it cannot be reached, says so and goes on without. */
export async function prepareExternalDatabase(url: string): Promise<void> {
  const host = URL.parse(url)?.host ?? 'DATABASE_URL_UNPOOLED';
  console.log(`database: ${host}`);
  try {
    await withinPatience(migrate(url, printStep));
  } catch (error) {
    console.log(
      `${host} was not migrated (${reasonOf(error)}). Starting all the same; ` +
        'once it answers, migrate it with "npm run db:migrate".',
    );
  }
}

function printStep(line: string): void {
  console.log(`database: ${line}`);
}

async function withinPatience(work: Promise<void>): Promise<void> {
  const lapsed = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => lapsed.reject(new Error(`no answer in ${patienceMs / 1000} s`)),
    patienceMs,
  );
  try {
    await Promise.race([work, lapsed.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Several addresses that all refuse come as one error without words. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || ('code' in error ? String(error.code) : error.name);
}
