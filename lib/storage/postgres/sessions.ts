import { and, eq, sql } from 'drizzle-orm';
import { chatSessions as sessions } from '../../../drizzle/schema.ts';
import type { StorageLimits } from '../limits.ts';
import type { Reach, Storage } from '../storage.ts';
import { clock, clockNow, type Database, device, only } from './database.ts';
import { run } from './failures.ts';
import { parseSession } from './session-rows.ts';

/** Parameters of what is done to one session, and their values. */
export const session = sql`${sql.placeholder('session')}::uuid`;
export const owner = sql`${sql.placeholder('owner')}::uuid`;
export const includeExpired = sql`${sql.placeholder('includeExpired')}::boolean`;
export const reachOf = ({ owner: of, includeExpired: expired }: Reach) => ({
  owner: of,
  includeExpired: expired,
});

function prepare(db: Database) {
  const seen = { now: sql<string>`now`, session: sql<unknown>`session` };
  const ttl = sql`${sql.placeholder('ttl')}::int, ${sql.placeholder('sessionTtl')}::int`;
  return {
    create: db
      .select(seen)
      .from(
        sql`baton_create_session_v1(${session}, ${device}, ${sql.placeholder('user')}::text, ${sql.placeholder('channel')}::text, ${sql.placeholder('metadata')}::jsonb, ${ttl}, ${sql.placeholder('living')}::int, ${sql.placeholder('hourly')}::int)`,
      )
      .prepare('baton_session_create'),
    read: db
      .select({
        now: clockNow,
        session: sql<unknown>`case when ${sessions.sessionId} is not null then baton_session_view_v1(${sessions}, true) end`,
      })
      .from(clock)
      .leftJoin(
        sessions,
        and(
          eq(sessions.sessionId, sql.placeholder('session')),
          sql`(${includeExpired} or ${sessions.expiresAt} > ${clockNow})`,
          sql`(${owner} is null or ${sessions.deviceId} = baton_linked_v1(${owner}))`,
        ),
      )
      .prepare('baton_session_read'),
    patch: db
      .select({ ...seen, outcome: sql<string>`outcome` })
      .from(
        sql`baton_patch_session_v1(${session}, ${owner}, ${sql.placeholder('patch')}::jsonb, ${sql.placeholder('complete')}::boolean, ${sql.placeholder('sessionTtl')}::int, ${sql.placeholder('completedTtl')}::int, ${sql.placeholder('maxBytes')}::int)`,
      )
      .prepare('baton_session_patch'),
    delete: db
      .select({ now: sql<string>`now`, deleted: sql<boolean>`deleted` })
      .from(sql`baton_delete_session_v1(${session}, ${owner}, ${includeExpired})`)
      .prepare('baton_session_delete'),
  };
}

/** The life of one chat session. */
export function sessionOperations(
  db: Database,
  { sessionTtl, completedTtl }: StorageLimits,
): Pick<Storage, 'createSession' | 'readSession' | 'patchSession' | 'deleteSession'> {
  const statements = prepare(db);
  return {
    async createSession({ id, device: of, user, channel, metadata, ttlSeconds }, caps) {
      const values = {
        session: id,
        device: of,
        user,
        channel,
        metadata: JSON.stringify(metadata),
        ttl: ttlSeconds,
        sessionTtl,
        living: caps.living,
        hourly: caps.hourly,
      };
      const row = only(await run(() => statements.create.execute(values), true));
      return { now: new Date(row.now), session: parseSession(row.session) };
    },
    async readSession(id, reach) {
      const values = { session: id, ...reachOf(reach) };
      const row = only(await run(() => statements.read.execute(values), true));
      return { now: new Date(row.now), session: parseSession(row.session) };
    },
    async patchSession(id, of, { metadata, complete }, maxBytes) {
      const values = {
        session: id,
        owner: of,
        patch: JSON.stringify(metadata),
        complete,
        sessionTtl,
        completedTtl,
        maxBytes,
      };
      const row = only(await run(() => statements.patch.execute(values), true));
      const now = new Date(row.now);
      if (row.outcome === 'too_large') return { now, outcome: 'too_large' };
      const patched = parseSession(row.session);
      return patched === null
        ? { now, outcome: 'not_found' }
        : { now, outcome: 'patched', session: patched };
    },
    async deleteSession(id, reach) {
      const values = { session: id, ...reachOf(reach) };
      const row = only(await run(() => statements.delete.execute(values), true));
      return { now: new Date(row.now), deleted: row.deleted };
    },
  };
}
