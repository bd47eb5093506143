import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from './world.ts';

/** What a database says of what was asked and answered. */
export interface Ledger {
  /** Messages that people sent, by what became of them. */
  statuses: Record<string, number>;
  /** Answered messages without any reply, and messages that have one and do not count as answered. */
  astray: number;
  /** Messages with more than one reply. */
  twice: number;
  /** Devices whose order has a gap, or whose agent has counted another number of messages than are answered. */
  miscounted: number;
}

/** Reads the books; every turn of the tests' agent writes one reply and counts its messages. */
export async function audit({ sql }: Database): Promise<Ledger> {
  const [row] = await sql<Omit<Ledger, 'statuses'>>(`
    WITH asked AS (
      SELECT m.*, (SELECT count(*) FROM chat_messages r WHERE r.device_id = m.device_id AND r.answers @> ARRAY[m.id]) AS replies
      FROM chat_messages m WHERE m.role = 'user')
    SELECT
      (SELECT count(*) FROM asked WHERE (status = 'answered') <> (replies > 0))::int AS astray,
      (SELECT count(*) FROM asked WHERE replies > 1)::int AS twice,
      (SELECT count(*) FROM conversation_states s WHERE
        last_seq <> (SELECT count(*) FROM chat_messages m WHERE m.device_id = s.device_id AND m.seq IS NOT NULL)
        OR coalesce((state #>> '{clerk,counter}')::int, 0) <> (SELECT count(*) FROM asked a
          WHERE a.device_id = s.device_id AND a.status = 'answered' AND a.lane = 'builtin'))::int AS miscounted`);
  const rows = await sql<{ status: string; n: number }>(
    `SELECT status, count(*)::int AS n FROM chat_messages WHERE role = 'user' GROUP BY status`,
  );
  if (row === undefined) throw new Error('no row');
  return { statuses: Object.fromEntries(rows.map(({ status, n }) => [status, n])), ...row };
}

/** Of these messages, how many are not there or not answered. */
export async function unanswered({ sql }: Database, ids: readonly string[]): Promise<number> {
  const [row] = await sql<{ n: number }>(
    `SELECT count(*)::int AS n FROM unnest($1::text[]) AS wanted WHERE NOT EXISTS (
       SELECT FROM chat_messages m WHERE m.external_id = wanted AND m.role = 'user' AND m.status = 'answered')`,
    [ids],
  );
  return row?.n ?? ids.length;
}

/** The devices of these messages. */
export async function devicesOf({ sql }: Database, ids: readonly string[]): Promise<string[]> {
  const rows = await sql<{ device: string }>(
    `SELECT DISTINCT device_id AS device FROM chat_messages WHERE external_id = ANY ($1) AND role = 'user'`,
    [ids],
  );
  return rows.map(({ device }) => device);
}

/** Whether replies of these devices have yet to arrive. */
export async function isSending({ sql }: Database, devices: readonly string[]): Promise<boolean> {
  const rows = await sql(
    `SELECT FROM chat_messages WHERE device_id = ANY ($1) AND status IN ('pending', 'sending', 'unknown')`,
    [devices],
  );
  return rows.length > 0;
}

/** Of these devices, how many have a turn that was given and not ended, its time over or not. */
export async function countHeld({ sql }: Database, devices: readonly string[]): Promise<number> {
  const [row] = await sql<{ n: number }>(
    `SELECT count(*)::int AS n FROM conversation_states WHERE device_id = ANY ($1) AND turn_expires_at IS NOT NULL`,
    [devices],
  );
  return row?.n ?? 0;
}

/** Ends the leases of these devices now, as if their time had passed. */
export async function lapse({ sql }: Database, devices: readonly string[]): Promise<void> {
  await sql(
    `UPDATE conversation_states SET turn_expires_at = baton_now_v1()
     WHERE turn_expires_at > baton_now_v1() AND device_id = ANY ($1)`,
    [devices],
  );
}

/** Replies of these devices that wait for another try wait no longer. */
export async function comeDue({ sql }: Database, devices: readonly string[]): Promise<void> {
  await sql(
    `UPDATE chat_messages SET claim_expires_at = baton_now_v1()
     WHERE status IN ('pending', 'unknown') AND device_id = ANY ($1)`,
    [devices],
  );
}

/** Asks again until it is so; false once it has taken too long. */
export async function comesTrue(
  isTrue: () => boolean | Promise<boolean>,
  seconds = 10,
): Promise<boolean> {
  const deadline = performance.now() + seconds * 1_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) return false;
    await sleep(5);
  }
  return true;
}

/** Nothing waits, nothing is on its way. Looks only: nobody is called. */
export function isQuiet({ sql }: Database, seconds = 10): Promise<boolean> {
  return comesTrue(async () => {
    const [row] = await sql<{ busy: boolean }>(
      `SELECT EXISTS (SELECT FROM chat_messages WHERE status IN ('waiting', 'pending', 'sending', 'unknown')) AS busy`,
    );
    return row?.busy === false;
  }, seconds);
}
