import { neon, neonConfig } from '@neondatabase/serverless';
import pg from 'pg';
import { readMigrations } from '../../drizzle/files.ts';
import type { Config } from '../../lib/config.ts';
import { codeOf, type Finding, note, ok, patienceMs, since, todo } from './finding.ts';

type Ask = (statement: string) => Promise<Record<string, unknown>[]>;

/** PostgreSQL 15, as its `server_version_num` says it. */
const oldest = 150_000;

/** Whether the functions reach a database that is new enough and has every migration, by the way they take. */
export async function checkDatabase(config: Config): Promise<Finding[]> {
  const { databaseUrl: url, databaseDriver: driver } = config;
  if (config.storage === 'redis')
    return [note('database', 'not asked: STORAGE=redis keeps everything in Redis')];
  if (url === null) {
    const missing = config.production ? todo : note;
    return [
      missing(
        'database',
        'DATABASE_URL is not set: "npm run dev" brings its own, a deployment needs one',
      ),
    ];
  }
  const started = performance.now();
  try {
    const findings = await (driver === 'neon-http' ? overHttp : overTcp)(url, async (ask) => {
      const [row] = await ask(
        `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number`,
      );
      const told = `PostgreSQL ${String(row?.['version'])} at ${new URL(url).host}, over ${driver}, ${since(started)}`;
      const found =
        Number(row?.['number']) >= oldest
          ? ok('database', told)
          : todo('database', `${told}: it must be 15 or later`);
      return [found, await checkMigrations(ask)];
    });
    return [...findings, await checkDirect(config)];
  } catch (error) {
    const host = new URL(url).host;
    return [
      todo(
        'database',
        `${host} does not answer over ${driver} (${codeOf(error)}): see to DATABASE_URL`,
      ),
    ];
  }
}

async function checkMigrations(ask: Ask): Promise<Finding> {
  const advice = '"npm run db:migrate" applies them';
  const migrations = await readMigrations();
  const [table] = await ask(
    `SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS present`,
  );
  if (table?.['present'] !== true)
    return todo('migrations', `none of ${migrations.length} is applied: ${advice}`);
  const rows = await ask('SELECT hash, created_at::text AS at FROM drizzle.__drizzle_migrations');
  const applied = new Map(rows.map(({ hash, at }) => [Number(at), hash]));
  const missing = migrations.filter(({ when }) => !applied.has(when));
  if (missing.length > 0) {
    return todo(
      'migrations',
      `${missing.length} of ${migrations.length} are not applied: ${advice}`,
    );
  }
  const edited = migrations.find(({ when, hash }) => applied.get(when) !== hash);
  if (edited !== undefined) {
    return todo(
      'migrations',
      `${edited.tag}.sql was edited after it was applied: put it back, and write a new one`,
    );
  }
  const newer = applied.size - migrations.length;
  return ok(
    'migrations',
    `all ${migrations.length}${newer > 0 ? `, and ${newer} of a newer deployment` : ''}`,
  );
}

/** Migrations hold a lock of the session, which a transaction pooler would lose. */
async function checkDirect({ directDatabaseUrl: url }: Config): Promise<Finding> {
  const topic = 'direct URL';
  if (url === null) {
    return note(
      topic,
      'DATABASE_URL_UNPOOLED is not set: deployments do not migrate, "npm run db:migrate" does',
    );
  }
  const { host, hostname } = new URL(url);
  if (hostname.includes('-pooler')) {
    return todo(
      topic,
      `DATABASE_URL_UNPOOLED goes through a pooler (${host}): take the direct one`,
    );
  }
  try {
    await overTcp(url, (ask) => ask('SELECT 1'));
    return ok(topic, `${host}, for migrations`);
  } catch (error) {
    return todo(topic, `${host} does not answer (${codeOf(error)}): see to DATABASE_URL_UNPOOLED`);
  }
}

async function overTcp<T>(url: string, use: (ask: Ask) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: patienceMs,
    query_timeout: patienceMs,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(
      async (statement) => (await client.query<Record<string, unknown>>(statement)).rows,
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function overHttp<T>(url: string, use: (ask: Ask) => Promise<T>): Promise<T> {
  neonConfig.fetchFunction = (input: string, init: RequestInit) =>
    fetch(input, { ...init, signal: AbortSignal.timeout(patienceMs) });
  const sql = neon(url);
  return use((statement) => sql.query(statement));
}
