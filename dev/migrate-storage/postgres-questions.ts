import type pg from 'pg';
import { ranked, rankedBy } from './postgres-ranked.ts';
import { type Kept, KEPT_KEYS, type Unit } from './records.ts';

// What only PostgreSQL is asked: what would be lost on the way, and what is over by now.

/** Sessions, with their messages, and devices of which Redis keeps less than there is. */
export async function readOver(
  client: pg.Client,
  kept: Kept,
): Promise<{ sessions: number; messages: number; devices: number }> {
  const { rows } = await client.query<{ sessions: string; messages: string; devices: string }>(
    `SELECT count(DISTINCT session_id) AS sessions, count(*) AS messages,
       (SELECT count(*) FROM (SELECT FROM lock_events GROUP BY device_id HAVING count(*) > $3) e) AS devices
     FROM ${ranked('m.seq IS NOT NULL', 1)} r WHERE is_over`,
    [...rankedBy(kept), kept.holdings],
  );
  const [row] = rows;
  return {
    sessions: Number(row?.sessions),
    messages: Number(row?.messages),
    devices: Number(row?.devices),
  };
}

/** What is not moved, a phrase each. */
export async function readLeftBehind(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ erased: string; codes: string }>(
    `SELECT (SELECT count(*) FROM chat_messages WHERE status = 'erased' AND external_id IS NULL) AS erased,
       (SELECT count(*) FROM link_codes WHERE expires_at > now()) AS codes`,
  );
  const [erased, codes] = [Number(rows[0]?.erased), Number(rows[0]?.codes)];
  return [
    ...(erased > 0
      ? [`the keys of ${erased} erased messages, hashes by which Redis would know no redelivery`]
      : []),
    ...(codes > 0 ? [`${codes} codes for linking devices, which are good for ten minutes`] : []),
    'what /api/metrics has counted',
  ];
}

/**
 * Of units that are here, those that Redis has let go by itself by now.
 *
 * @param retentionDays how long Redis keeps a device after its last sign of life; 0: for ever
 */
export async function readLapsed(
  client: pg.Client,
  unit: Unit,
  ids: string[],
  retentionDays: number,
): Promise<Set<string>> {
  if (ids.length === 0 || (retentionDays === 0 && unit !== 'key')) return new Set();
  const { rows } = await client.query<{ id: string }>(LAPSED[unit], [
    ids,
    lifeOf(unit, retentionDays),
  ]);
  return new Set(rows.map(({ id }) => id));
}

const DAY = 86_400_000;

/** Milliseconds after which Redis forgets a unit: who somebody is thirty-one days after the rest (lua/base.ts). */
const lifeOf = (unit: Unit, retentionDays: number): number => {
  if (unit === 'key') return KEPT_KEYS;
  return (retentionDays + (unit === 'device' ? 0 : 31)) * DAY;
};

// $1: ids, $2: milliseconds
const LAPSED: Record<Unit, string> = {
  device: `SELECT device_id AS id FROM conversation_states WHERE device_id = ANY ($1::uuid[]) AND updated_at + $2::bigint * interval '1 ms' <= clock_timestamp()`,
  identity: `SELECT i.id FROM unnest($1::text[]) AS i (id) JOIN channel_identities c
    ON (c.channel, c.account, c.kind, c.value) = (i.id::jsonb ->> 0, i.id::jsonb ->> 1, i.id::jsonb ->> 2, i.id::jsonb ->> 3)
    WHERE c.checked_at + $2::bigint * interval '1 ms' <= clock_timestamp()`,
  link: `SELECT value AS id FROM channel_identities
    WHERE (channel, account, kind) = ('device', '', 'device') AND value = ANY ($1::text[]) AND checked_at + $2::bigint * interval '1 ms' <= clock_timestamp()`,
  key: `SELECT k.id FROM unnest($1::text[]) AS k (id) JOIN chat_messages m
    ON m.dedupe_key = baton_dedupe_key_v1(k.id::jsonb ->> 0, k.id::jsonb ->> 1, k.id::jsonb ->> 2)
    WHERE m.created_at + $2::bigint * interval '1 ms' <= clock_timestamp()`,
};
