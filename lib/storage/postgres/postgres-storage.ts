import { sql } from 'drizzle-orm';
import type { StorageLimits } from '../limits.ts';
import type { Storage } from '../storage.ts';
import { answerOperations } from './answers.ts';
import { commitOperations } from './commits.ts';
import { clock, clockNow, type Database, only } from './database.ts';
import { deviceOperations } from './devices.ts';
import { erasingOperations } from './erasing.ts';
import { failedOperations } from './failed.ts';
import { run } from './failures.ts';
import { figureOperations } from './figures.ts';
import { grantOperations } from './grants.ts';
import { historyOperations } from './histories.ts';
import { linkingOperations } from './linking.ts';
import { lockOperations } from './locks.ts';
import { searchOperations } from './search.ts';
import { sessionOperations } from './sessions.ts';
import { stateOperations } from './states.ts';
import { statusOperations } from './statuses.ts';

/**
 * Baton on PostgreSQL 15 or later, one set of statements for every driver. Each is prepared once per database
 * handle: `pg` keeps it as a named statement on each connection (a turn is mostly planning: named, it takes half
 * the time), over HTTP it is sent as it is.
 */
export function createPostgresStorage(db: Database, limits: StorageLimits): Storage {
  return {
    ...lockOperations(db),
    ...stateOperations(db, limits),
    ...grantOperations(db, limits),
    ...commitOperations(db, limits),
    ...statusOperations(db, limits),
    ...answerOperations(db),
    ...failedOperations(db),
    ...sessionOperations(db, limits),
    ...searchOperations(db),
    ...historyOperations(db),
    ...deviceOperations(db),
    ...figureOperations(db),
    ...linkingOperations(db),
    ...erasingOperations(db),
    ...upkeepOperations(db, limits),
  };
}

function upkeepOperations(
  db: Database,
  { retentionDays }: StorageLimits,
): Pick<Storage, 'cleanUp' | 'ping'> {
  const clean = db
    .select({
      now: sql<string>`now`,
      expiredLocks: sql<number>`expired_locks`,
      expiredSessions: sql<number>`expired_sessions`,
      purgedMessages: sql<number>`purged_messages`,
      more: sql<boolean>`more`,
    })
    .from(
      sql`baton_clean_v1(${sql.placeholder('batch')}::int, ${sql.placeholder('retentionDays')}::int)`,
    )
    .prepare('baton_clean');
  const ping = db.select({ now: clockNow }).from(clock).prepare('baton_ping');
  return {
    async cleanUp(batch) {
      const row = only(await run(() => clean.execute({ batch, retentionDays }), true));
      return { ...row, now: new Date(row.now) };
    },
    async ping() {
      return { now: new Date(only(await run(() => ping.execute({}), true)).now) };
    },
  };
}
