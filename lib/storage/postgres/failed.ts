import { and, asc, eq, gt, sql } from 'drizzle-orm';
import { chatMessages as messages } from '../../../drizzle/schema.ts';
import type { JsonObject } from '../../json.ts';
import type { DeviceId, FailedMessage, Storage } from '../storage.ts';
import { clock, clockNow, type Database, only } from './database.ts';
import { run } from './failures.ts';

const device = sql.placeholder('device');

type FailedRow = Omit<FailedMessage, 'id' | 'device'> & { id: bigint; device: string };

const toFailed = ({ id, device: of, ...row }: FailedRow): FailedMessage => ({
  ...row,
  id: String(id),
  device: of as DeviceId,
});

/** What was set aside, and the way back. */
export function failedOperations(db: Database): Pick<Storage, 'listFailed' | 'retryFailed'> {
  // from the clock, so that there is a row to tell the time where no message is
  const list = db
    .select({
      now: clockNow,
      message: {
        device: messages.deviceId,
        sessionId: messages.sessionId,
        channel: messages.channel,
        lane: messages.lane,
        attempts: messages.attempts,
        error: messages.error,
        id: messages.id,
        messageId: messages.externalId,
        role: messages.role,
        content: messages.content,
        agent: messages.agent,
        metadata: messages.metadata,
        sentAt: messages.sentAt,
        createdAt: messages.createdAt,
      },
    })
    .from(clock)
    .leftJoin(
      messages,
      and(
        eq(messages.status, 'failed'),
        eq(messages.role, 'user'),
        gt(messages.id, sql`${sql.placeholder('after')}::bigint`),
        sql`(${device}::uuid is null or ${messages.deviceId} = ${device}::uuid)`,
      ),
    )
    .orderBy(asc(messages.id))
    .limit(sql.placeholder('limit'))
    .prepare('baton_list_failed');
  const retry = db
    .select({
      now: sql<string>`now`,
      retried: sql<number>`retried`,
      more: sql<boolean>`more`,
    })
    .from(sql`baton_retry_failed_v1(${device}::uuid, ${sql.placeholder('limit')}::int)`)
    .prepare('baton_retry_failed');
  return {
    async listFailed(of, after, limit) {
      const rows = await run(() => list.execute({ device: of, after: after ?? '0', limit }), true);
      return {
        now: new Date(only(rows).now),
        messages: rows.flatMap((row) =>
          row.message === null
            ? []
            : [toFailed({ ...row.message, metadata: row.message.metadata as JsonObject })],
        ),
      };
    },
    async retryFailed(of, limit) {
      const row = only(await run(() => retry.execute({ device: of, limit }), true));
      return { ...row, now: new Date(row.now) };
    },
  };
}
