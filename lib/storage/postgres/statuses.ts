import { sql } from 'drizzle-orm';
import type { StorageLimits } from '../limits.ts';
import type { ReplyStatus, Storage } from '../storage.ts';
import { type Database, only } from './database.ts';
import { run } from './failures.ts';

const toRow = ({ account, externalId, replyId, status, error, retryMs }: ReplyStatus) => ({
  account,
  external_id: externalId,
  reply_id: replyId ?? undefined,
  status,
  error,
  retry_ms: retryMs,
});

/** What a channel reports of the replies it was given. */
export function statusOperations(
  db: Database,
  { maxAttempts }: StorageLimits,
): Pick<Storage, 'noteStatuses'> {
  const note = db
    .select({ now: sql<string>`now`, known: sql<number>`known` })
    .from(
      sql`baton_note_statuses_v1(${sql.placeholder('statuses')}::jsonb, ${sql.placeholder('channel')}::text, ${sql.placeholder('maxAttempts')}::int)`,
    )
    .prepare('baton_note_statuses');
  return {
    async noteStatuses(channel, statuses) {
      const values = { channel, statuses: JSON.stringify(statuses.map(toRow)), maxAttempts };
      const row = only(await run(() => note.execute(values), true));
      return { now: new Date(row.now), known: row.known };
    },
  };
}
