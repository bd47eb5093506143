import { sql } from 'drizzle-orm';
import type { Storage } from '../storage.ts';
import { type Database, device, only } from './database.ts';
import { run } from './failures.ts';
import { parseAnswered, parseAnswering } from './rows.ts';

/** What became of a message. */
export function answerOperations(db: Database): Pick<Storage, 'readAnswer'> {
  const answer = db
    .select({
      now: sql<string>`now`,
      message: sql<unknown>`message`,
      replies: sql<unknown>`replies`,
      free: sql<boolean | null>`free`,
    })
    .from(
      sql`baton_answer_v2(${device}, ${sql.placeholder('channel')}::text, ${sql.placeholder('account')}::text, ${sql.placeholder('messageId')}::text)`,
    )
    .prepare('baton_answer');
  return {
    async readAnswer(id, channel, messageId, account = id) {
      const values = { device: id, channel, account, messageId };
      const row = only(await run(() => answer.execute(values), true));
      return {
        now: new Date(row.now),
        message: parseAnswered(row.message),
        replies: parseAnswering(row.replies),
        free: row.free !== false,
      };
    },
  };
}
