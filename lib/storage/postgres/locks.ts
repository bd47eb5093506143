import { and, eq, isNotNull, sql } from 'drizzle-orm';
import { conversationStates as states } from '../../../drizzle/schema.ts';
import type { Storage, Version } from '../storage.ts';
import {
  clock,
  clockNow,
  type Database,
  device,
  linked,
  only,
  shared,
  versions,
  versionsOf,
} from './database.ts';
import { run } from './failures.ts';
import { parseLock } from './rows.ts';

function prepare(db: Database) {
  return {
    get: db
      .select({
        now: clockNow,
        agent: states.activeAgent,
        lockedAt: states.lockedAt,
        expiresAt: states.lockExpiresAt,
        sessionTtl: states.sessionTtl,
        version: states.lockVersion,
        shared,
      })
      .from(clock)
      .leftJoin(
        states,
        and(
          eq(states.deviceId, linked),
          isNotNull(states.activeAgent),
          sql`${states.lockExpiresAt} > ${clockNow}`,
        ),
      )
      .prepare('baton_lock_get'),
    set: db
      .select({ now: sql<string>`now`, written: sql<boolean>`written`, lock: sql<unknown>`lock` })
      .from(
        sql`baton_set_lock_v1(${device}, ${sql.placeholder('agent')}::text, ${sql.placeholder('ttl')}::int, ${sql.placeholder('mustBeFree')}::boolean, ${versions})`,
      )
      .prepare('baton_lock_set'),
    clear: db
      .select({ now: sql<string>`now`, written: sql<boolean>`written` })
      .from(sql`baton_clear_lock_v1(${device}, ${versions})`)
      .prepare('baton_lock_clear'),
  };
}

/** The active-agent lock. */
export function lockOperations(db: Database): Pick<Storage, 'getLock' | 'setLock' | 'clearLock'> {
  const statements = prepare(db);
  return {
    async getLock(id) {
      const row = only(await run(() => statements.get.execute({ device: id }), true));
      const { agent, lockedAt, expiresAt, sessionTtl, version, shared: isShared } = row;
      const read = { now: new Date(row.now), ...(isShared && { shared: true }) };
      if (agent === null || lockedAt === null || expiresAt === null || sessionTtl === null)
        return { ...read, lock: null };
      return {
        ...read,
        lock: { agent, lockedAt, expiresAt, sessionTtl, version: String(version) as Version },
      };
    },
    async setLock(id, { agent, ttlSeconds }, guard) {
      const mustBeFree = guard.kind === 'absent';
      const values = {
        device: id,
        agent,
        ttl: ttlSeconds,
        mustBeFree,
        versions: versionsOf(guard),
      };
      const row = only(await run(() => statements.set.execute(values), guard.kind === 'none'));
      const lock = parseLock(row.lock);
      return row.written && lock !== null
        ? { written: true, now: new Date(row.now), lock }
        : { written: false };
    },
    async clearLock(id, guard) {
      if (guard.kind === 'absent') {
        // there must be nothing to clear: that is seen by looking
        const { now, lock } = await this.getLock(id);
        return lock === null ? { written: true, now } : { written: false };
      }
      const values = { device: id, versions: versionsOf(guard) };
      const row = only(await run(() => statements.clear.execute(values), guard.kind === 'none'));
      return row.written ? { written: true, now: new Date(row.now) } : { written: false };
    },
  };
}
