import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { StorageLimits } from '../../lib/storage/limits.ts';
import { openNeon } from '../../lib/storage/postgres/neon.ts';
import { openPg, type Patience } from '../../lib/storage/postgres/pg.ts';
import type {
  Commit,
  CommitResult,
  DeviceId,
  IncomingMessage,
  Lane,
  Storage,
  Turn,
  TurnTerms,
} from '../../lib/storage/storage.ts';
import { createDatabase, type TestDatabase } from './postgres.ts';

/** A storage under test, and what a test needs to know and do behind its back. Milliseconds throughout. */
export interface Harness {
  storage: Storage;
  /** Moves what a device holds in time: the ends of its lock, turn and session, and of its replies' claims, from now. */
  shift(
    device: DeviceId,
    ends: { lock?: number; turn?: number; session?: number; unsettled?: number },
  ): Promise<void>;
  /** Makes everything of a device so much older: its row, sessions, messages and events. */
  age(device: DeviceId, by: number): Promise<void>;
  /** The device's messages, in the order of their places in the history, the ones without a place last. */
  messages(device: DeviceId): Promise<StoredMessage[]>;
  /** Its chat sessions, oldest first. */
  sessions(device: DeviceId): Promise<StoredSession[]>;
  /** Who held the device, newest first. */
  events(device: DeviceId): Promise<StoredEvent[]>;
  /** Forgets that the device ever was, as an operator with SQL might. */
  deleteRow(device: DeviceId): Promise<void>;
  close(): Promise<void>;
}

export interface StoredMessage {
  id: string;
  role: string;
  content: string;
  status: string;
  seq: number | null;
  session: string;
  attempts: number;
  answers: string[] | null;
  externalId: string | null;
  error: string | null;
}

export interface StoredSession {
  id: string;
  complete: boolean;
  messageCount: number;
  /** Between its last activity and its end. */
  life: number;
}

export interface StoredEvent {
  agent: string;
  reason: string;
  startedAt: Date;
  endedAt: Date;
}

/** Opens a storage that nobody else uses. */
export type Open = (limits?: Partial<StorageLimits>) => Promise<Harness>;

const DAY = 86_400_000;
export const time = { second: 1_000, minute: 60_000, hour: 3_600_000, day: DAY } as const;

export const limits: StorageLimits = {
  history: 20,
  maxAttempts: 3,
  resendAfterMs: 120_000,
  sessionTtl: 3_600,
  completedTtl: 86_400,
  maxStateBytes: 1_048_576,
  retentionDays: 30,
};

/** Milliseconds: a machine that does much else is no database that is away. */
export const UNHURRIED = 60_000;
export const unhurried: Patience = { connection: UNHURRIED, statement: UNHURRIED };

/** PostgreSQL over `pg`, with a pool as wide as the widest race. */
export const openPostgres: Open = async (some) => {
  const database = await createDatabase();
  return postgresHarness(database, openPg(database.url, { ...limits, ...some }, 60, unhurried));
};

/** PostgreSQL as Neon serves it over HTTP. */
export const openNeonHttp: Open = async (some) => {
  const database = await createDatabase();
  return postgresHarness(database, openNeon(database.url, { ...limits, ...some }, UNHURRIED));
};

/** Everything that moves a device's rows in time: each table with its times. */
const times = {
  conversation_states:
    'locked_at, lock_expires_at, state_updated_at, session_expires_at, turn_expires_at, rate_until',
  chat_sessions: 'created_at, last_activity, expires_at',
  chat_messages: 'sent_at, created_at, claim_expires_at',
  lock_events: 'started_at, ended_at',
  channel_identities: 'created_at, checked_at',
};

/** What the storage keeps in a database, seen and moved past it. */
export function postgresHarness(
  database: TestDatabase,
  { storage, close }: { storage: Storage; close: () => Promise<void> },
): Harness {
  // as a replica, because what a test moves in time must not look to the triggers like a lock that changed hands
  const options = '-c session_replication_role=replica';
  const pool = new pg.Pool({ connectionString: database.url, max: 2, options });
  pool.on('error', () => {}); // dropping the database ends its idle connections
  const query = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) =>
    (await pool.query<Row>(text, values)).rows;
  return {
    storage,
    async shift(device, { lock, turn, session, unsettled }) {
      const at = (ms: number | undefined) => ms ?? null;
      await query(
        `UPDATE conversation_states SET
           lock_expires_at = coalesce(baton_now_v1() + $2::bigint * interval '1 ms', lock_expires_at),
           turn_expires_at = coalesce(baton_now_v1() + $3::bigint * interval '1 ms', turn_expires_at),
           session_expires_at = coalesce(baton_now_v1() + $4::bigint * interval '1 ms', session_expires_at)
         WHERE device_id = $1`,
        [device, at(lock), at(turn), at(session)],
      );
      // a claim is never longer than the lease it was made under
      await query(
        `UPDATE chat_messages SET claim_expires_at = coalesce(
           baton_now_v1() + CASE WHEN status = 'sending' THEN $3::bigint ELSE $2::bigint END * interval '1 ms', claim_expires_at)
         WHERE device_id = $1 AND status IN ('pending', 'sending', 'unknown')`,
        [device, at(unsettled), at(turn)],
      );
    },
    async age(device, by) {
      for (const [table, columns] of Object.entries(times)) {
        const older = columns
          .split(', ')
          .map((name) => `${name} = ${name} - $2::bigint * interval '1 ms'`);
        await query(`UPDATE ${table} SET ${older.join(', ')} WHERE device_id = $1`, [device, by]);
      }
    },
    messages: (device) =>
      query<StoredMessage>(
        `SELECT id::text, role, content, status, seq::int, session_id AS session, attempts, answers::text[],
           external_id AS "externalId", error
         FROM chat_messages m WHERE device_id = $1 ORDER BY seq NULLS LAST, sent_at, m.id`,
        [device],
      ),
    sessions: (device) =>
      query<StoredSession>(
        `SELECT session_id AS id, complete, message_count AS "messageCount",
           (extract(epoch FROM expires_at - last_activity) * 1000)::float8 AS life
         FROM chat_sessions WHERE device_id = $1 ORDER BY created_at, session_id`,
        [device],
      ),
    events: (device) =>
      query<StoredEvent>(
        `SELECT agent, reason, started_at AS "startedAt", ended_at AS "endedAt"
         FROM lock_events WHERE device_id = $1 ORDER BY id DESC`,
        [device],
      ),
    async deleteRow(device) {
      await query('DELETE FROM conversation_states WHERE device_id = $1', [device]);
    },
    async close() {
      await close();
      await pool.end();
      await database.drop();
    },
  };
}

export const newDevice = () => randomUUID() as DeviceId;

export function terms(some: Partial<TurnTerms> = {}): TurnTerms {
  return { requestId: randomUUID(), lane: 'builtin', leaseMs: 60_000, maxTurns: 4, ...some };
}

export function message(device: DeviceId, some: Partial<IncomingMessage> = {}): IncomingMessage {
  return {
    sender: { device },
    channel: 'web',
    account: device,
    externalId: randomUUID(),
    content: 'hello',
    metadata: {},
    sentAt: null,
    ...some,
  };
}

export function commitOf(...replies: string[]): Commit {
  return {
    replies: replies.map((content) => ({ content, metadata: {}, agent: 'manager' })),
    deliver: false,
    lock: { do: 'keep' },
  };
}

/** Stores one message and takes the turn; fails where there is none to be had. */
export async function take(
  storage: Storage,
  device: DeviceId,
  some: Partial<IncomingMessage> = {},
  lane: Lane = 'builtin',
): Promise<Turn> {
  const [accepted] = await storage.accept([message(device, some)], terms({ lane }));
  if (accepted?.turn == null) throw new Error('the turn was not free');
  return accepted.turn;
}

/** Commits and expects it to be taken. */
export async function commit(
  storage: Storage,
  turn: Turn,
  content: Commit,
  lane: Lane = 'builtin',
): Promise<Extract<CommitResult, { outcome: 'committed' }>> {
  const result = await storage.commit(turn.device, turn.fence, lane, content, 60_000);
  if (result.outcome !== 'committed') throw new Error(`the commit was refused: ${result.outcome}`);
  return result;
}
