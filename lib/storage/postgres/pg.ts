import { attachDatabasePool } from '@vercel/functions/db-connections';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { parseJson } from '../../json.ts';
import type { StorageLimits } from '../limits.ts';
import type { Storage } from '../storage.ts';
import { JSONB } from './database.ts';
import { createPostgresStorage } from './postgres-storage.ts';

/** Milliseconds a caller waits for a connection, and for a statement on it. */
export interface Patience {
  connection: number;
  statement: number;
}

const PATIENCE: Patience = { connection: 2_000, statement: 5_000 };

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
    query_timeout: patience.statement,
    idleTimeoutMillis: 5_000,
    allowExitOnIdle: true,
    application_name: 'baton',
  });
  pg.types.setTypeParser(JSONB, parseJson);
  // an idle connection that the server ended; the pool drops it, the next statement opens another
  pool.on('error', () => {});
  // on the platform an instance must not be frozen with connections open; elsewhere it does nothing
  attachDatabasePool(pool);
  return { storage: createPostgresStorage(drizzle(pool), limits), close: () => pool.end() };
}
