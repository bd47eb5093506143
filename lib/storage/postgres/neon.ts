import { neon, neonConfig, types } from '@neondatabase/serverless';
import { drizzle } from 'drizzle-orm/neon-http';
import { parseJson } from '../../json.ts';
import type { StorageLimits } from '../limits.ts';
import type { Storage } from '../storage.ts';
import { JSONB } from './database.ts';
import { patienceFor, STATEMENT_MS } from './patience.ts';
import { createPostgresStorage } from './postgres-storage.ts';

/**
 * Neon over HTTP: one request per statement, no connection to open, to pool or to close.
 *
 * @param statementMs milliseconds after which the database counts as away, connecting included (the driver itself would
 *   wait for ever); a large statement has longer
 */
export function openNeon(
  url: string,
  limits: StorageLimits,
  statementMs = STATEMENT_MS,
): { storage: Storage; close: () => Promise<void> } {
  neonConfig.fetchFunction = (input: string, init: RequestInit & { body: string }) => {
    const signal = AbortSignal.timeout(patienceFor(init.body.length, statementMs));
    return fetch(input, { ...init, signal });
  };
  types.setTypeParser(JSONB, parseJson);
  const storage = createPostgresStorage(drizzle(neon(url)), limits);
  return { storage, close: () => Promise.resolve() };
}
