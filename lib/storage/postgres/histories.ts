import { sql } from 'drizzle-orm';
import type { ExportItem, Storage } from '../storage.ts';
import { type Database, only } from './database.ts';
import { run } from './failures.ts';
import { parseMessages } from './rows.ts';
import { parseSession } from './session-rows.ts';
import { includeExpired, owner, reachOf, session } from './sessions.ts';

function prepare(db: Database) {
  const limit = sql`${sql.placeholder('limit')}::int`;
  const scope = sql`${sql.placeholder('user')}::text, ${sql.placeholder('device')}::uuid, ${includeExpired}`;
  const place = sql`${sql.placeholder('begunAfter')}::timestamptz, ${sql.placeholder('sessionAfter')}::uuid, ${sql.placeholder('seqAfter')}::bigint`;
  return {
    history: db
      .select({
        now: sql<string>`now`,
        total: sql<number | null>`total`,
        messages: sql<unknown>`messages`,
        older: sql<string | null>`older`,
      })
      .from(
        sql`baton_history_v1(${session}, ${owner}, ${includeExpired}, ${sql.placeholder('before')}::bigint, ${limit})`,
      )
      .prepare('baton_history'),
    export: db
      .select({
        session: sql<unknown>`session`,
        message: sql<unknown>`message`,
        begun: sql<string>`begun`,
        sessionId: sql<string>`session_id`,
        seq: sql<string>`seq`,
      })
      .from(sql`baton_export_v1(${session}, ${scope}, ${place}, ${limit})`)
      .prepare('baton_export'),
  };
}

interface ExportRow {
  session: unknown;
  message: unknown;
  begun: string;
  sessionId: string;
  seq: string;
}

function toItem({ begun, sessionId, seq, ...row }: ExportRow): ExportItem {
  const at = { begun: new Date(begun), session: sessionId, seq };
  const begins = parseSession(row.session);
  if (begins !== null) return { at, session: begins };
  return { at, message: only(parseMessages([row.message])) };
}

/** What was said in chat sessions. */
export function historyOperations(db: Database): Pick<Storage, 'readHistory' | 'readExport'> {
  const statements = prepare(db);
  return {
    async readHistory(id, reach, before, limit) {
      const values = { session: id, ...reachOf(reach), before, limit };
      const row = only(await run(() => statements.history.execute(values), true));
      const { total, older } = row;
      const history =
        total === null ? null : { total, messages: parseMessages(row.messages), older };
      return { now: new Date(row.now), history };
    },
    async readExport(of, after, limit) {
      const one = 'session' in of;
      const values = {
        session: one ? of.session : null,
        user: one ? null : of.user,
        device: one ? null : of.device,
        includeExpired: one || of.includeExpired,
        begunAfter: after?.begun.toISOString() ?? null,
        sessionAfter: after?.session ?? null,
        seqAfter: after?.seq ?? null,
        limit,
      };
      return (await run(() => statements.export.execute(values), true)).map(toItem);
    },
  };
}
