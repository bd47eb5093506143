import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Postgres, startPostgres } from '../../../dev/postgres.ts';
import { migrate } from '../../../drizzle/migrate.ts';
import { startNeonBridge } from '../../support/neon-bridge.ts';
import { databaseUrl, runOn } from '../../support/postgres.ts';
import { startProxy } from '../../support/proxy.ts';
import type { Backend, Closable, Database, Killable, Reach } from '../storage.ts';
import { postgresBooks, type Sql } from './books.ts';
import { startLossyHttp } from './lossy-http.ts';
import { startWire } from './wire.ts';

export interface PostgresDatabase extends Database {
  url: string;
  sql: Sql;
}

/** A PostgreSQL of the run's own, with a migrated database to copy. */
export interface PostgresBackend extends Backend {
  storage: 'postgres';
  database(): Promise<PostgresDatabase & Closable>;
}

const TEMPLATE = 'baton_template';

/** Settings of an instance that speaks to it over TCP. */
export const reach = (url: string): Reach => ({ env: { DATABASE_URL: url } });

export async function startPostgresBackend(): Promise<PostgresBackend> {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-faults-'));
  const remove = () => rm(dataDir, { recursive: true, force: true });
  const settings = { fsync: 'off', max_connections: 200 };
  const server = await startPostgres({ dataDir, settings }).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const close = async () => {
    await server.stop();
    await remove();
  };
  try {
    await runOn(server.url, `CREATE DATABASE ${TEMPLATE}`);
    await migrate(databaseUrl(server.url, TEMPLATE));
    await runOn(server.url, `ALTER DATABASE ${TEMPLATE} ALLOW_CONNECTIONS false`);
  } catch (error) {
    await close();
    throw error;
  }
  return { storage: 'postgres', database: () => createDatabase(server.url), killable, close };
}

async function createDatabase(serverUrl: string): Promise<PostgresDatabase & Closable> {
  const name = `faults_${randomBytes(8).toString('hex')}`;
  await runOn(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${TEMPLATE} STRATEGY file_copy`);
  const url = databaseUrl(serverUrl, name);
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  pool.on('error', () => {}); // dropping the database ends its idle connections
  const sql: Sql = async (text, values = []) => (await pool.query(text, [...values])).rows;
  const wire = () => startWire(url);
  return {
    url,
    sql,
    ...reach(url),
    ...postgresBooks(sql),
    wire,
    losing: async () => [await wire(), await losingOverHttp(url)],
    async breakable() {
      const proxy = await startProxy(url);
      return { ...proxy, ...reach(proxy.url) };
    },
    async close() {
      await pool.end();
      await runOn(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** As to Neon, over HTTP. */
async function losingOverHttp(
  url: string,
): Promise<Awaited<ReturnType<Database['losing']>>[number]> {
  const bridge = await startNeonBridge();
  const { endpoint, close, ...losing } = await startLossyHttp(bridge.endpoint);
  const env = { DATABASE_DRIVER: 'neon-http', FAULTS_NEON_ENDPOINT: endpoint };
  return {
    ...losing,
    env: { ...reach(url).env, ...env },
    async close() {
      await close();
      await bridge.close();
    },
  };
}

async function killable(): Promise<Killable> {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-outage-'));
  let server: Postgres = await startPostgres({ dataDir });
  const { port, url } = server;
  await migrate(url);
  return {
    name: 'PostgreSQL',
    ...reach(url),
    kill: () => Promise.resolve(void process.kill(server.pid, 'SIGKILL')),
    async start() {
      server = await startPostgres({ dataDir, port });
    },
    async close() {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
