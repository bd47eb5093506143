import { neon, neonConfig, types } from '@neondatabase/serverless';
import { drizzle } from 'drizzle-orm/neon-http';
import { parseJson } from '../../json.ts';
import type { StorageLimits } from '../limits.ts';
import type { Storage } from '../storage.ts';
import { JSONB } from './database.ts';
import { createPostgresStorage } from './postgres-storage.ts';

/** Milliseconds a statement may take, connecting included; the driver itself would wait for ever. */
const TIMEOUT = 5_000;

/**
 * Neon over HTTP: one request per statement, no connection to open, to pool or to close.
 *
 * @param timeoutMs milliseconds after which the database counts as away
 */
export function openNeon(
  url: string,
  limits: StorageLimits,
  timeoutMs = TIMEOUT,
): { storage: Storage; close: () => Promise<void> } {
  neonConfig.fetchFunction = (input: string, init: RequestInit) =>
    fetch(input, { ...init, signal: AbortSignal.timeout(timeoutMs) });
  types.setTypeParser(JSONB, parseJson);
  const storage = createPostgresStorage(drizzle(neon(url)), limits);
  return { storage, close: () => Promise.resolve() };
}
