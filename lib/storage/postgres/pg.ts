import { attachDatabasePool } from '@vercel/functions/db-connections';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { parseJson } from '../../json.ts';
import type { StorageLimits } from '../limits.ts';
import type { Storage } from '../storage.ts';
import { JSONB } from './database.ts';
import { patienceFor, STATEMENT_MS } from './patience.ts';
import { createPostgresStorage } from './postgres-storage.ts';

/** Milliseconds a caller waits for a connection, and for a statement on it; a large one has longer. */
export interface Patience {
  connection: number;
  statement: number;
}

const PATIENCE: Patience = { connection: 2_000, statement: STATEMENT_MS };

/**
 * PostgreSQL over TCP. `close` ends the pool; idle connections end by themselves after five seconds.
 *
 * @param patience after which the database counts as away
 */
export function openPg(
  url: string,
  limits: StorageLimits,
  maxConnections = 10,
  patience = PATIENCE,
): { storage: Storage; close: () => Promise<void> } {
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: patience.connection,
    idleTimeoutMillis: 5_000,
    allowExitOnIdle: true,
    application_name: 'baton',
  });
  pg.types.setTypeParser(JSONB, parseJson);
  // an idle connection that the server ended; the pool drops it, the next statement opens another
  pool.on('error', () => {});
  // on the platform an instance must not be frozen with connections open; elsewhere it does nothing
  attachDatabasePool(pool);
  const database = drizzle(waiting(pool, patience.statement));
  return { storage: createPostgresStorage(database, limits), close: () => pool.end() };
}

type Query = (statement: pg.QueryConfig, values: unknown[]) => Promise<pg.QueryResult>;

/** The pool as Drizzle asks it, with a limit for each statement. */
function waiting(pool: pg.Pool, statementMs: number): pg.Pool {
  const ask: Query = pool.query.bind(pool);
  const query: Query = (statement, values) => {
    const bytes = values.reduce<number>(
      (all, value) => all + (typeof value === 'string' ? value.length : 0),
      0,
    );
    const limit = { query_timeout: patienceFor(bytes, statementMs) };
    return ask({ ...statement, ...limit }, values);
  };
  return Object.assign(pool, { query });
}
