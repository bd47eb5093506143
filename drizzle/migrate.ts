import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate as applyAll } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { readConfig } from '../lib/config.ts';
import { folder, type Migration, readMigrations } from './files.ts';

/** Any number, the same for every deployment: two that start at once wait for each other. */
const ADVISORY_LOCK = 2_026_112_101;

interface Applied {
  hash: string;
  created_at: string;
}

/**
 * Brings a database to the newest migration. One client and a session lock, so that parallel deployments
 * queue up; safe to repeat.
 *
 * @param url a direct URL: a transaction pooler loses the session lock
 * @param log gets one line per step
 * @throws when the database cannot be reached, or an applied migration was edited since
 */
export async function migrate(url: string, log: (line: string) => void = () => {}): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCK]);
    const migrations = await readMigrations();
    const applied = await readApplied(client);
    refuseEdited(migrations, applied);
    const known = new Set(applied.map((row) => Number(row.created_at)));
    const missing = migrations.filter(({ when }) => !known.has(when));
    for (const { tag } of missing) log(`applying ${tag}`);
    await client.query('SET client_min_messages = warning');
    await applyAll(drizzle(client), { migrationsFolder: folder });
    log(
      missing.length === 0
        ? `the database is up to date (${migrations.length} migrations)`
        : `applied ${missing.length} of ${migrations.length} migrations`,
    );
  } finally {
    await client.end();
  }
}

async function readApplied(client: pg.Client): Promise<Applied[]> {
  const { rows } = await client.query<{ present: boolean }>(
    "SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS present",
  );
  if (rows[0]?.present !== true) return [];
  const result = await client.query<Applied>(
    'SELECT hash, created_at FROM drizzle.__drizzle_migrations ORDER BY created_at',
  );
  return result.rows;
}

function refuseEdited(migrations: Migration[], applied: Applied[]): void {
  for (const { tag, when, hash } of migrations) {
    const row = applied.find(({ created_at }) => Number(created_at) === when);
    if (row !== undefined && row.hash !== hash) {
      throw new Error(
        `${tag}.sql was edited after it was applied to this database; put it back and write a new migration`,
      );
    }
  }
}

const HELP = `Usage: npm run db:migrate

Applies the migrations of drizzle/ to the database of DATABASE_URL_UNPOOLED, or of DATABASE_URL
where that is not set (POSTGRES_URL_NON_POOLING and POSTGRES_URL are read as well). Give it a direct
URL, not a pooled one. Safe to repeat.`;

async function main(): Promise<void> {
  if (process.argv.includes('--help')) {
    console.log(HELP);
    return;
  }
  const read = readConfig(process.env);
  if (!read.ok) {
    console.error(read.mistakes.join('\n'));
    process.exitCode = 1;
    return;
  }
  const url = read.config.directDatabaseUrl ?? read.config.databaseUrl;
  if (url === null) {
    console.error(
      'DATABASE_URL is not set. `npm run dev` migrates its own database; for any other, set it.',
    );
    process.exitCode = 1;
    return;
  }
  console.log(`migrating ${new URL(url).host}`);
  await migrate(url, (line) => console.log(`  ${line}`));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error(`migration failed: ${error instanceof Error ? error.message : 'unknown error'}`);
    process.exitCode = 1;
  }
}
