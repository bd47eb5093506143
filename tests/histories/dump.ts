import type pg from 'pg';
import type { DeviceId } from '../../lib/storage/storage.ts';
import type { DeviceRow, Dump, EventRow, MessageRow } from './history.ts';

/** Ids of the newest rows, so that a dump may leave out what was there before. */
export interface Mark {
  message: string;
  event: string;
}

export async function markOf(pool: pg.Pool): Promise<Mark> {
  const { rows } = await pool.query<Mark>(
    `SELECT (SELECT coalesce(max(id), 0)::text FROM chat_messages) AS message,
       (SELECT coalesce(max(id), 0)::text FROM lock_events) AS event`,
  );
  return rows[0] ?? { message: '0', event: '0' };
}

/** Everything written since the mark, whosever it is: a row in a wrong place must not escape by it. */
export async function dumpSince(pool: pg.Pool, mark: Mark, devices: DeviceId[]): Promise<Dump> {
  const messages = await pool.query<MessageRow>(
    `SELECT id::text, device_id AS device, session_id AS session, seq::int, role, content, lane,
       external_id AS "externalId", status, answers::text[], turn_fence::text AS fence
     FROM chat_messages WHERE id > $1 OR device_id = ANY ($2) ORDER BY device_id, seq NULLS LAST, id`,
    [mark.message, devices],
  );
  const states = await pool.query<DeviceRow>(
    `SELECT device_id AS device, active_agent AS agent, last_seq::int AS "lastSeq", state
     FROM conversation_states WHERE device_id = ANY ($1)`,
    [devices],
  );
  const events = await pool.query<EventRow>(
    `SELECT device_id AS device, agent, reason, (extract(epoch FROM started_at) * 1000)::float8 AS "startedAt",
       (extract(epoch FROM ended_at) * 1000)::float8 AS "endedAt"
     FROM lock_events WHERE id > $1 OR device_id = ANY ($2) ORDER BY id`,
    [mark.event, devices],
  );
  return { messages: messages.rows, devices: states.rows, events: events.rows };
}
