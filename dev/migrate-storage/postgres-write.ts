import type pg from 'pg';
import { type Kind, type Row, rowsOf, type Unit } from './records.ts';

/** Writes units in the place of what was there, in one transaction. */
export async function writeUnits(
  writer: pg.Client,
  unit: Unit,
  ids: readonly string[],
  pages: AsyncIterable<Row[]>,
): Promise<void> {
  await writer.query('BEGIN');
  await dropUnits(writer, unit, ids);
  for await (const rows of pages) await insert(writer, rows);
  if (unit === 'device') for (const statement of DERIVED) await writer.query(statement, [ids]);
  await writer.query('COMMIT');
}

const DROPS: Record<Unit, readonly string[]> = {
  device: [
    'DELETE FROM conversation_states WHERE device_id = ANY ($1::uuid[])',
    'DELETE FROM lock_events WHERE device_id = ANY ($1::uuid[])',
    'DELETE FROM chat_sessions WHERE device_id = ANY ($1::uuid[])',
    // but for keys, which are units of their own
    `DELETE FROM chat_messages WHERE device_id = ANY ($1::uuid[]) AND NOT (status = 'erased' AND external_id IS NOT NULL)`,
  ],
  identity: [
    `DELETE FROM channel_identities i USING unnest($1::text[]) AS n (id)
     WHERE (i.channel, i.account, i.kind, i.value) = (n.id::jsonb ->> 0, n.id::jsonb ->> 1, n.id::jsonb ->> 2, n.id::jsonb ->> 3)`,
  ],
  link: [
    `DELETE FROM channel_identities WHERE (channel, account, kind) = ('device', '', 'device') AND value = ANY ($1::text[])`,
  ],
  key: [
    `DELETE FROM chat_messages m USING unnest($1::text[]) AS k (id)
     WHERE m.dedupe_key = baton_dedupe_key_v1(k.id::jsonb ->> 0, k.id::jsonb ->> 1, k.id::jsonb ->> 2) AND m.status = 'erased' AND m.external_id IS NOT NULL`,
  ],
};

export async function dropUnits(
  writer: pg.Client,
  unit: Unit,
  ids: readonly string[],
): Promise<void> {
  for (const statement of DROPS[unit]) await writer.query(statement, [ids]);
}

async function insert(writer: pg.Client, rows: Row[]): Promise<void> {
  for (const kind of Object.keys(INSERTS) as Kind[]) {
    const own = rowsOf(rows, kind);
    if (own.length > 0) await writer.query(INSERTS[kind], [JSON.stringify(own)]);
  }
}

/** Milliseconds as a time. */
const at = (column: string) => `timestamptz 'epoch' + ${column} * interval '1 ms'`;

// $1: rows as they are, in their order
const INSERTS: Record<Kind, string> = {
  devices: `INSERT INTO conversation_states (device_id, active_agent, locked_at, session_ttl, lock_expires_at, lock_version, state_version, state_updated_at,
      session_id, session_expires_at, last_seq, turn_fence, turn_owner, turn_lane, turn_expires_at, handed, granted_lock_version, granted_state_version,
      committed_fence, committed_hash, created_at, rate_until, erased_at)
    SELECT r.of, l.agent, ${at('l."lockedAt"')}, coalesce(l."sessionTtl", 86400), ${at('l."expiresAt"')}, d."lockVersion", d."stateVersion", ${at('d."stateUpdatedAt"')},
      s.id, ${at('s."endsAt"')}, d."lastSeq", g.fence, g.owner, g.lane, ${at('g."endsAt"')},
      ARRAY(SELECT h::bigint FROM json_array_elements_text(g.handed) h), g."lockVersion", g."stateVersion",
      c.fence, decode(c.hash, 'base64'), ${at('d."createdAt"')}, ${at('d."rateUntil"')}, ${at('d."erasedAt"')}
    FROM json_to_recordset($1::json) AS r (of uuid, data json),
      json_to_record(r.data) AS d ("createdAt" bigint, "erasedAt" bigint, "lastSeq" bigint, "rateUntil" bigint, lock json, "lockVersion" bigint,
        session json, "stateVersion" bigint, "stateUpdatedAt" bigint, "grant" json, committed json),
      json_to_record(coalesce(d.lock, '{}')) AS l (agent text, "lockedAt" bigint, "expiresAt" bigint, "sessionTtl" int),
      json_to_record(coalesce(d.session, '{}')) AS s (id uuid, "endsAt" bigint),
      json_to_record(coalesce(d."grant", '{}')) AS g (fence bigint, owner text, lane text, "endsAt" bigint, handed json, "lockVersion" bigint, "stateVersion" bigint),
      json_to_record(coalesce(d.committed, '{}')) AS c (fence bigint, hash text)`,
  states: `UPDATE conversation_states c SET state = r.data -> 'document'
    FROM json_to_recordset($1::json) AS r (of uuid, data jsonb) WHERE c.device_id = r.of`,
  holdings: `INSERT INTO lock_events (device_id, agent, started_at, ended_at, reason)
    SELECT r.of, d.agent, ${at('d."startedAt"')}, ${at('d."endedAt"')}, d.reason
    FROM ROWS FROM (json_to_recordset($1::json) AS (of uuid, data json)) WITH ORDINALITY AS r (of, data, place),
      json_to_record(r.data) AS d (agent text, "startedAt" bigint, "endedAt" bigint, reason text)
    ORDER BY r.place`,
  sessions: `INSERT INTO chat_sessions (session_id, device_id, user_id, channel, metadata, ttl, complete, message_count, created_at, last_activity, expires_at)
    SELECT d.id, r.of, d."user", d.channel, d.metadata, d.ttl, d.complete, d."messageCount", ${at('d."createdAt"')}, ${at('d."lastActivity"')}, ${at('d."expiresAt"')}
    FROM json_to_recordset($1::json) AS r (of uuid, data json),
      json_to_record(r.data) AS d (id uuid, "user" text, channel text, metadata jsonb, ttl int, complete boolean, "messageCount" int,
        "createdAt" bigint, "lastActivity" bigint, "expiresAt" bigint)`,
  messages: `INSERT INTO chat_messages (id, device_id, session_id, seq, role, content, metadata, agent, channel, account, lane, external_id, dedupe_key,
      address, holder, request_id, status, answers, turn_fence, attempts, error, claim_expires_at, sent_at, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT d.id, r.of, d.session, d.seq, d.role, d.content, d.metadata, d.agent, d.channel, d.account, d.lane, d."externalId",
      CASE WHEN d.keyed THEN baton_dedupe_key_v1(d.channel, d.account, r.key) END,
      d.address, d.holder, d."requestId", d.status, CASE WHEN d.answers IS NOT NULL THEN ARRAY(SELECT a::bigint FROM json_array_elements_text(d.answers) a) END,
      d.fence, d.attempts, d.error, ${at('d."claimEndsAt"')}, ${at('d."sentAt"')}, ${at('d."createdAt"')}
    FROM json_to_recordset($1::json) AS r (of uuid, data json, key text),
      json_to_record(r.data) AS d (id bigint, session uuid, seq bigint, role text, content text, metadata jsonb, agent text, channel text, account text, lane text,
        "externalId" text, keyed boolean, address jsonb, holder text, "requestId" text, status text, answers json, fence bigint, attempts int, error text,
        "claimEndsAt" bigint, "sentAt" bigint, "createdAt" bigint)`,
  identities: `INSERT INTO channel_identities (channel, account, kind, value, device_id, created_at, checked_at)
    SELECT r.of::jsonb ->> 0, r.of::jsonb ->> 1, r.of::jsonb ->> 2, r.of::jsonb ->> 3, (r.data ->> 'device')::uuid, ${at('r."seenAt"')}, ${at('r."seenAt"')}
    FROM json_to_recordset($1::json) AS r (of text, data json, "seenAt" bigint)`,
  links: `INSERT INTO channel_identities (channel, account, kind, value, device_id, created_at, checked_at)
    SELECT 'device', '', 'device', r.of, (r.data ->> 'device')::uuid, ${at('r."seenAt"')}, ${at('r."seenAt"')}
    FROM json_to_recordset($1::json) AS r (of text, data json, "seenAt" bigint)`,
  // as an erased message, but with the sender's id of it: so it can be told from one, and go on to another storage
  keys: `INSERT INTO chat_messages (id, device_id, session_id, role, content, channel, account, lane, external_id, dedupe_key, status, sent_at, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT d.id, d.device, d.session, 'user', '', k.channel, k.account, 'builtin', k.external_id, baton_dedupe_key_v1(k.channel, k.account, k.external_id),
      'erased', ${at('r.at')}, ${at('r.at')}
    FROM json_to_recordset($1::json) AS r (of text, data json, at bigint),
      json_to_record(r.data) AS d (device uuid, id bigint, session uuid),
      LATERAL (SELECT r.of::jsonb ->> 0 AS channel, r.of::jsonb ->> 1 AS account, r.of::jsonb ->> 2 AS external_id) k`,
};

/** What PostgreSQL keeps beside what is moved, of $1, devices. */
const DERIVED = [
  `UPDATE chat_sessions c SET bytes = coalesce((
     SELECT sum(octet_length(m.content)) FROM chat_messages m WHERE m.session_id = c.session_id AND m.seq IS NOT NULL), 0)
   WHERE c.device_id = ANY ($1::uuid[])`,
  `UPDATE conversation_states c SET updated_at = greatest(c.created_at, c.erased_at, c.state_updated_at, c.locked_at,
     (SELECT max(s.last_activity) FROM chat_sessions s WHERE s.device_id = c.device_id),
     (SELECT max(e.ended_at) FROM lock_events e WHERE e.device_id = c.device_id))
   WHERE c.device_id = ANY ($1::uuid[])`,
];
