import type pg from 'pg';
import { ranked, rankedBy } from './postgres-ranked.ts';
import { stream } from './postgres-stream.ts';
import { nameOf, type Row, type Selection, type Unit } from './records.ts';

/** Units that are looked at together. */
const UNITS = 100;

/** Rows that a key has outlived, by the whole id they had. */
const OUTLIVED = `status = 'erased' AND external_id IS NOT NULL`;

const LISTS: Record<Unit, string> = {
  device: 'SELECT ARRAY[device_id::text] AS name FROM conversation_states ORDER BY device_id',
  identity: `SELECT ARRAY[channel, account, kind, value] AS name FROM channel_identities WHERE kind <> 'device' ORDER BY channel, account, kind, value`,
  link: `SELECT ARRAY[value] AS name FROM channel_identities WHERE (channel, account, kind) = ('device', '', 'device') ORDER BY value`,
  // $1: the time from which on keys count; $2 and $3 as in `ranked`
  key: `SELECT ARRAY[channel, account, external_id] AS name FROM (
      SELECT id, channel, account, external_id FROM chat_messages WHERE ${OUTLIVED} AND ($2::int IS NULL OR created_at > $1)
      UNION ALL
      SELECT id, channel, account, external_id FROM ${ranked('m.seq IS NOT NULL AND $2::int IS NOT NULL', 2)} r
      WHERE r.is_over AND dedupe_key IS NOT NULL AND external_id IS NOT NULL AND created_at > $1) k ORDER BY id`,
};

/** All units of a kind, in order. */
export async function* readUnits(
  reader: pg.Client,
  unit: Unit,
  { kept, keyedSince }: Selection,
): AsyncGenerator<string[]> {
  const values = unit === 'key' ? [new Date(keyedSince), ...rankedBy(kept)] : [];
  const pages = stream<{ name: string[] }>(reader, LISTS[unit], values, () => 0, UNITS);
  const isPlain = unit === 'device' || unit === 'link';
  for await (const rows of pages) {
    yield rows.map(({ name }) => (isPlain ? (name[0] ?? '') : nameOf(...name)));
  }
}

const KEYED = `FROM unnest($1::text[]) AS k (id) JOIN chat_messages m
  ON m.dedupe_key = baton_dedupe_key_v1(k.id::jsonb ->> 0, k.id::jsonb ->> 1, k.id::jsonb ->> 2)`;

const NAMED: Record<'identity' | 'link', string> = {
  identity: `FROM unnest($1::text[]) AS n (id) JOIN channel_identities i
    ON (i.channel, i.account, i.kind, i.value) = (n.id::jsonb ->> 0, n.id::jsonb ->> 1, n.id::jsonb ->> 2, n.id::jsonb ->> 3)`,
  link: `FROM unnest($1::text[]) AS n (id) JOIN channel_identities i
    ON (i.channel, i.account, i.kind, i.value) = ('device', '', 'device', n.id)`,
};

const PRESENT: Record<Unit, string> = {
  device:
    'SELECT device_id::text AS id FROM conversation_states WHERE device_id = ANY ($1::uuid[])',
  identity: `SELECT n.id ${NAMED.identity}`,
  link: `SELECT n.id ${NAMED.link}`,
  key: `SELECT k.id ${KEYED}`,
};

export async function readPresent(
  reader: pg.Client,
  unit: Unit,
  ids: readonly string[],
): Promise<Set<string>> {
  const { rows } = await reader.query<{ id: string }>(PRESENT[unit], [ids]);
  return new Set(rows.map(({ id }) => id));
}

export async function readNames(
  reader: pg.Client,
  unit: 'identity' | 'link',
  ids: readonly string[],
): Promise<Row[]> {
  const { rows } = await reader.query<{ id: string; device: string; seen: Date }>(
    `SELECT n.id, i.device_id AS device, i.checked_at AS seen ${NAMED[unit]}`,
    [ids],
  );
  const kind = unit === 'identity' ? 'identities' : 'links';
  return rows.map(({ id: of, device, seen }) => ({
    kind,
    of,
    data: { device },
    seenAt: seen.getTime(),
  }));
}

export async function readKeys(reader: pg.Client, ids: readonly string[]): Promise<Row[]> {
  const { rows } = await reader.query<{
    of: string;
    device: string;
    id: string;
    session: string;
    at: Date;
  }>(
    `SELECT k.id AS of, m.device_id AS device, m.id, m.session_id AS session, m.created_at AS at ${KEYED}`,
    [ids],
  );
  return rows.map(({ of, at, ...data }) => ({ kind: 'keys', of, data, at: at.getTime() }));
}
