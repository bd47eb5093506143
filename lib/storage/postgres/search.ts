import { sql } from 'drizzle-orm';
import type { ListPlace, SessionScope, Storage } from '../storage.ts';
import { type Database, only } from './database.ts';
import { run } from './failures.ts';
import { parseFound, parseListed } from './session-rows.ts';

const scopeOf = ({ user, device, active, includeExpired }: SessionScope) => ({
  user,
  device,
  active,
  includeExpired,
});

const placeOf = (after: ListPlace | null) => ({
  timeAfter: after?.lastActivity.toISOString() ?? null,
  sessionAfter: after?.id ?? null,
});

function prepare(db: Database) {
  const scope = sql`${sql.placeholder('user')}::text, ${sql.placeholder('device')}::uuid, ${sql.placeholder('active')}::boolean, ${sql.placeholder('includeExpired')}::boolean`;
  const place = sql`${sql.placeholder('timeAfter')}::timestamptz, ${sql.placeholder('sessionAfter')}::uuid`;
  const limit = sql`${sql.placeholder('limit')}::int`;
  const page = {
    now: sql<string>`now`,
    total: sql<number | null>`total`,
    sessions: sql<unknown>`sessions`,
  };
  return {
    list: db
      .select(page)
      .from(sql`baton_list_sessions_v1(${scope}, ${place}, ${limit})`)
      .prepare('baton_sessions_list'),
    search: db
      .select({ ...page, partial: sql<boolean | null>`partial` })
      .from(
        sql`baton_search_sessions_v1(${sql.placeholder('words')}::text, ${scope}, ${sql.placeholder('rankAfter')}::real, ${place}, ${limit})`,
      )
      .prepare('baton_sessions_search'),
  };
}

/** The place behind the last one, where one more came than was asked for. */
const nextOf = <Session, Place>(
  rows: Session[],
  limit: number,
  toPlace: (last: Session) => Place,
): Place | null => {
  const last = rows[limit - 1];
  return rows.length > limit && last !== undefined ? toPlace(last) : null;
};

/** Chat sessions by whose they are, and by what was said in them. */
export function searchOperations(db: Database): Pick<Storage, 'listSessions' | 'searchSessions'> {
  const statements = prepare(db);
  return {
    async listSessions(scope, after, limit) {
      const values = { ...scopeOf(scope), ...placeOf(after), limit };
      const row = only(await run(() => statements.list.execute(values), true));
      const sessions = parseListed(row.sessions);
      return {
        now: new Date(row.now),
        total: row.total ?? 0,
        sessions: sessions.slice(0, limit),
        next: nextOf(sessions, limit, ({ lastActivity, id }) => ({ lastActivity, id })),
      };
    },
    async searchSessions(words, scope, after, limit) {
      const values = {
        words,
        ...scopeOf(scope),
        ...placeOf(after),
        rankAfter: after?.rank ?? null,
        limit,
      };
      const row = only(await run(() => statements.search.execute(values), true));
      if (row.total === null) return null;
      const found = parseFound(row.sessions);
      return {
        now: new Date(row.now),
        total: row.total,
        partial: row.partial === true,
        sessions: found.slice(0, limit).map(({ session }) => session),
        next: nextOf(found, limit, ({ rank, session: { lastActivity, id } }) => ({
          rank,
          lastActivity,
          id,
        })),
      };
    },
  };
}
