import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { StorageLimits } from '../../lib/storage/limits.ts';
import { openNeon } from '../../lib/storage/postgres/neon.ts';
import { openPg } from '../../lib/storage/postgres/pg.ts';
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

/** A storage under test, and what a test needs to know and do behind its back. */
export interface Harness {
  storage: Storage;
  /** Moves what a device holds in time: the ends of its lock, turn and session, milliseconds from the storage's now. */
  shift(
    device: DeviceId,
    ends: { lock?: number; turn?: number; session?: number; unsettled?: number },
  ): Promise<void>;
  /** The device's messages, in the order of their places in the history, waiting ones last. */
  messages(device: DeviceId): Promise<StoredMessage[]>;
  /** Forgets that the device ever was, as an operator with SQL might. */
  deleteRow(device: DeviceId): Promise<void>;
  /** Who held the device, newest first. */
  events(device: DeviceId): Promise<{ agent: string; reason: string }[]>;
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
}

const limits: StorageLimits = {
  history: 20,
  maxAttempts: 3,
  resendAfterMs: 120_000,
  sessionTtl: 3_600,
  completedTtl: 86_400,
  maxStateBytes: 1_048_576,
  retentionDays: 30,
};

/** PostgreSQL over `pg`, with a pool as wide as the widest race. */
export async function openPostgres(): Promise<Harness> {
  const database = await createDatabase();
  return harnessOn(database, openPg(database.url, limits, 60));
}

/** PostgreSQL as Neon serves it over HTTP. */
export async function openNeonHttp(): Promise<Harness> {
  const database = await createDatabase();
  return harnessOn(database, openNeon(database.url, limits));
}

function harnessOn(
  database: TestDatabase,
  { storage, close }: { storage: Storage; close: () => Promise<void> },
): Harness {
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  const query = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) =>
    (await pool.query<Row>(text, values)).rows;
  return {
    storage,
    async shift(device, { lock, turn, session, unsettled }) {
      const at = (ms: number | undefined) => ms ?? null;
      await query(
        `UPDATE conversation_states SET
           lock_expires_at = coalesce(baton_now_v1() + $2::int * interval '1 ms', lock_expires_at),
           turn_expires_at = coalesce(baton_now_v1() + $3::int * interval '1 ms', turn_expires_at),
           session_expires_at = coalesce(baton_now_v1() + $4::int * interval '1 ms', session_expires_at)
         WHERE device_id = $1`,
        [device, at(lock), at(turn), at(session)],
      );
      await query(
        `UPDATE chat_messages SET claim_expires_at = coalesce(baton_now_v1() + $2::int * interval '1 ms', claim_expires_at)
         WHERE device_id = $1 AND status IN ('pending', 'unknown')`,
        [device, at(unsettled)],
      );
    },
    messages: (device) =>
      query<StoredMessage>(
        `SELECT id::text, role, content, status, seq::int, session_id AS session, attempts, answers::text[], external_id AS "externalId"
         FROM chat_messages WHERE device_id = $1 ORDER BY seq NULLS LAST, sent_at, id`,
        [device],
      ),
    async deleteRow(device) {
      await query('DELETE FROM conversation_states WHERE device_id = $1', [device]);
    },
    events: (device) =>
      query('SELECT agent, reason FROM lock_events WHERE device_id = $1 ORDER BY id DESC', [
        device,
      ]),
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
