import type pg from 'pg';
import type { Belongings, Books, StoredDevice, StoredMessage } from '../storage.ts';

/** Runs a statement, past every instance and wire. */
export type Sql = <Row extends pg.QueryResultRow>(
  text: string,
  values?: readonly unknown[],
) => Promise<Row[]>;

export function postgresBooks(sql: Sql): Books {
  return {
    messages: ({ devices, messageIds, statuses } = {}) =>
      sql<StoredMessage>(
        `SELECT id::text, device_id AS device, role, content, status, lane, seq::int, attempts,
           external_id AS "messageId", turn_fence::text AS fence, coalesce(answers, '{}')::text[] AS answers
         FROM chat_messages
         WHERE ($1::uuid[] IS NULL OR device_id = ANY ($1))
           AND ($2::text[] IS NULL OR external_id = ANY ($2))
           AND ($3::text[] IS NULL OR status = ANY ($3))
         ORDER BY seq, chat_messages.id`,
        [devices ?? null, messageIds ?? null, statuses ?? null],
      ),
    devices: ({ devices } = {}) =>
      sql<StoredDevice>(
        `SELECT device_id AS device, last_seq::int AS "lastSeq", turn_expires_at IS NOT NULL AS "isHeld", state,
           s::text AS picture
         FROM conversation_states s WHERE $1::uuid[] IS NULL OR device_id = ANY ($1)`,
        [devices ?? null],
      ),
    async belongingsOf(device) {
      const sessions = await sql<Belongings['sessions'][number]>(
        'SELECT session_id AS id, complete, metadata FROM chat_sessions WHERE device_id = $1',
        [device],
      );
      const [row] = await sql<Omit<Belongings, 'sessions'>>(
        `SELECT (SELECT count(*) FROM lock_events WHERE device_id = $1)::int AS "lockEvents",
           (SELECT count(*) FROM link_codes WHERE device_id = $1)::int AS "linkCodes",
           baton_linked_v1($1) <> $1 AS "isLinked"`,
        [device],
      );
      if (row === undefined) throw new Error('no row');
      return { sessions, ...row };
    },
    async lapse(devices) {
      await sql(
        `UPDATE conversation_states SET turn_expires_at = baton_now_v1()
         WHERE turn_expires_at > baton_now_v1() AND device_id = ANY ($1)`,
        [devices],
      );
    },
    async comeDue(devices) {
      await sql(
        `UPDATE chat_messages SET claim_expires_at = baton_now_v1()
         WHERE status IN ('pending', 'unknown') AND device_id = ANY ($1)`,
        [devices],
      );
    },
    async setAside(device, session) {
      await sql(
        `INSERT INTO chat_messages (device_id, session_id, role, content, channel, account, lane, status, attempts, error, sent_at, created_at)
         SELECT $1::uuid, $2::uuid, 'user', 'hello', 'web', $1::uuid::text, 'builtin', 'failed', 5, 'Error', t, t FROM baton_now_v1() t`,
        [device, session],
      );
    },
  };
}
