import type pg from 'pg';
import { type JsonObject, parseJson } from '../../lib/json.ts';
import { ranked, rankedBy } from './postgres-ranked.ts';
import { stream } from './postgres-stream.ts';
import type { Device, Message, Row, Selection } from './records.ts';

/** Everything of some devices: the rows of each table, in the order of their keys. */
export async function* readDevices(
  reader: pg.Client,
  ids: readonly string[],
  { kept, erased, keyedSince }: Selection,
): AsyncGenerator<Row[]> {
  for await (const rows of stream<DeviceRow>(reader, DEVICES, [ids], () => 0)) {
    yield rows.map((row) => ({ kind: 'devices', of: row.of, data: deviceOf(row) }));
  }
  const states = stream<{ of: string; document: string }>(
    reader,
    STATES,
    [ids],
    ({ document }) => document.length,
  );
  for await (const rows of states) {
    yield rows.map(({ of, document }) => ({
      kind: 'states',
      of,
      data: { document: documentOf(document) },
    }));
  }
  for await (const rows of stream<HoldingRow>(
    reader,
    HOLDINGS,
    [ids, kept?.holdings ?? null],
    () => 0,
  )) {
    yield rows.map(({ of, agent, started_at: startedAt, ended_at: endedAt, reason }) => ({
      kind: 'holdings',
      of,
      data: { agent, startedAt: startedAt.getTime(), endedAt: endedAt.getTime(), reason },
    }));
  }
  for await (const rows of stream<SessionRow>(
    reader,
    SESSIONS,
    [ids],
    ({ metadata }) => metadata.length,
  )) {
    yield rows.map(sessionOf);
  }
  const messages = stream<MessageRow>(
    reader,
    MESSAGES,
    [ids, erased, ...rankedBy(kept)],
    ({ content, metadata }) => content.length + metadata.length,
  );
  for await (const rows of messages) yield rows.map((row) => messageOf(row, keyedSince));
}

const documentOf = (text: string) => parseJson(text) as JsonObject;
const ms = (date: Date | null): number | null => date?.getTime() ?? null;

const DEVICES = `SELECT device_id AS of, active_agent, locked_at, session_ttl, lock_expires_at, lock_version::text, state_version::text, state_updated_at,
    session_id, session_expires_at, last_seq, turn_fence::text, turn_owner, turn_lane, turn_expires_at, handed::text[],
    granted_lock_version::text, granted_state_version::text, committed_fence::text, encode(committed_hash, 'base64') AS committed_hash,
    created_at, rate_until, erased_at
  FROM conversation_states WHERE device_id = ANY ($1::uuid[]) ORDER BY device_id`;

interface DeviceRow {
  of: string;
  active_agent: string | null;
  locked_at: Date | null;
  session_ttl: number;
  lock_expires_at: Date | null;
  lock_version: string | null;
  state_version: string | null;
  state_updated_at: Date | null;
  session_id: string | null;
  session_expires_at: Date | null;
  last_seq: string;
  turn_fence: string | null;
  turn_owner: string | null;
  turn_lane: string | null;
  turn_expires_at: Date | null;
  handed: string[] | null;
  granted_lock_version: string | null;
  granted_state_version: string | null;
  committed_fence: string | null;
  committed_hash: string | null;
  created_at: Date;
  rate_until: Date | null;
  erased_at: Date | null;
}

const deviceOf = (row: DeviceRow): Device => ({
  createdAt: row.created_at.getTime(),
  erasedAt: ms(row.erased_at),
  lastSeq: Number(row.last_seq),
  rateUntil: ms(row.rate_until),
  lock:
    row.active_agent === null
      ? null
      : {
          agent: row.active_agent,
          lockedAt: ms(row.locked_at) ?? 0,
          expiresAt: ms(row.lock_expires_at) ?? 0,
          sessionTtl: row.session_ttl,
        },
  lockVersion: row.lock_version,
  session:
    row.session_id === null ? null : { id: row.session_id, endsAt: ms(row.session_expires_at) },
  stateVersion: row.state_version,
  stateUpdatedAt: ms(row.state_updated_at),
  grant:
    row.turn_fence === null
      ? null
      : {
          fence: row.turn_fence,
          owner: row.turn_owner,
          lane: row.turn_lane,
          endsAt: ms(row.turn_expires_at),
          handed: row.handed ?? [],
          lockVersion: row.granted_lock_version,
          stateVersion: row.granted_state_version,
        },
  committed:
    row.committed_fence === null ? null : { fence: row.committed_fence, hash: row.committed_hash },
});

const STATES = `SELECT device_id AS of, state::text AS document FROM conversation_states
  WHERE device_id = ANY ($1::uuid[]) AND state IS NOT NULL ORDER BY device_id`;

// $2: how many of the last ones, or null
const HOLDINGS = `SELECT device_id AS of, agent, started_at, ended_at, reason FROM (
    SELECT *, row_number() OVER (PARTITION BY device_id ORDER BY id DESC) AS place FROM lock_events WHERE device_id = ANY ($1::uuid[])) e
  WHERE $2::int IS NULL OR place <= $2::int ORDER BY device_id, id`;

interface HoldingRow {
  of: string;
  agent: string;
  started_at: Date;
  ended_at: Date;
  reason: string;
}

const SESSIONS = `SELECT device_id AS of, session_id, user_id, channel, metadata::text, ttl, complete, message_count, created_at, last_activity, expires_at
  FROM chat_sessions WHERE device_id = ANY ($1::uuid[]) ORDER BY device_id, session_id`;

interface SessionRow {
  of: string;
  session_id: string;
  user_id: string | null;
  channel: string;
  metadata: string;
  ttl: number | null;
  complete: boolean;
  message_count: number;
  created_at: Date;
  last_activity: Date;
  expires_at: Date;
}

const sessionOf = (row: SessionRow): Row => ({
  kind: 'sessions',
  of: row.of,
  data: {
    id: row.session_id,
    user: row.user_id,
    channel: row.channel,
    metadata: documentOf(row.metadata),
    ttl: row.ttl,
    complete: row.complete,
    messageCount: row.message_count,
    createdAt: row.created_at.getTime(),
    lastActivity: row.last_activity.getTime(),
    expiresAt: row.expires_at.getTime(),
  },
});

// $2: also the erased ones, but for those whose whole id is known: they are keys
const MESSAGES = `SELECT device_id AS of, id::text, session_id, seq, role, content, metadata::text, agent, channel, account, lane, external_id,
    dedupe_key IS NOT NULL AS keyed, address::text, holder, request_id, status, answers::text[], turn_fence::text, attempts, error,
    claim_expires_at, sent_at, created_at
  FROM ${ranked('m.device_id = ANY ($1::uuid[])', 3)} m
  WHERE (status <> 'erased' OR ($2::boolean AND external_id IS NULL)) AND NOT is_over ORDER BY device_id, m.id`;

interface MessageRow {
  of: string;
  id: string;
  session_id: string;
  seq: string | null;
  role: string;
  content: string;
  metadata: string;
  agent: string | null;
  channel: string;
  account: string;
  lane: string;
  external_id: string | null;
  keyed: boolean;
  address: string | null;
  holder: string | null;
  request_id: string | null;
  status: string;
  answers: string[] | null;
  turn_fence: string | null;
  attempts: number;
  error: string | null;
  claim_expires_at: Date | null;
  sent_at: Date;
  created_at: Date;
}

function messageOf(row: MessageRow, keyedSince: number): Row {
  const createdAt = row.created_at.getTime();
  const data: Message = {
    id: row.id,
    session: row.session_id,
    seq: row.seq === null ? null : Number(row.seq),
    role: row.role,
    content: row.content,
    metadata: documentOf(row.metadata),
    agent: row.agent,
    channel: row.channel,
    account: row.account,
    lane: row.lane,
    externalId: row.external_id,
    keyed: row.keyed && createdAt > keyedSince,
    address: addressOf(row.address),
    holder: row.holder,
    requestId: row.request_id,
    status: row.status,
    answers: row.answers,
    fence: row.turn_fence,
    attempts: row.attempts,
    error: row.error,
    claimEndsAt: ms(row.claim_expires_at),
    sentAt: row.sent_at.getTime(),
    createdAt,
  };
  return { kind: 'messages', of: row.of, data, key: row.keyed ? row.external_id : null };
}

/** Nobody is written to at an empty address. */
function addressOf(text: string | null): Record<string, string> | null {
  const address = text === null ? {} : (parseJson(text) as Record<string, string>);
  return Object.keys(address).length === 0 ? null : address;
}
