import { createHash } from 'node:crypto';
import pg from 'pg';
import { createMemoryStorage } from '../../lib/storage/memory/memory-storage.ts';
import { emptyTables, type Tables } from '../../lib/storage/memory/tables.ts';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import type { StorageLimits } from '../../lib/storage/limits.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { memoryHarness } from '../support/memory.ts';
import { createDatabase } from '../support/postgres.ts';
import {
  type Harness,
  limits as usual,
  postgresHarness,
  type StoredMessage,
  unhurried,
} from '../support/storage.ts';

/** Small, so that a short script reaches every one of them. */
export const limits: StorageLimits = {
  ...usual,
  history: 3,
  maxStateBytes: 20_000,
  retentionDays: 5,
  resendAfterMs: 30_000,
  sessionTtl: 3_600,
  completedTtl: 7_200,
};

/** A storage whose clock stands still until it is moved. */
export interface Side extends Harness {
  setClock(at: number): Promise<void>;
}

/** A storage to be held against the model, and which devices it makes of identities. */
export interface Movable extends Side {
  deviceOf: (identity: string) => DeviceId;
  /** Whether a cache may stand before it, which asks of each read whether it is shared. */
  saysShared: boolean;
  /** Forgets everything. */
  reset(): Promise<void>;
}

/** Found before pg_catalog's by the search path, wherever a statement or a function asks for the time. */
const STANDING_CLOCK = `
  CREATE TABLE standing_clock (at timestamptz NOT NULL);
  INSERT INTO standing_clock VALUES (pg_catalog.clock_timestamp());
  CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT at FROM standing_clock';
  DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
  END $$;`;

/** PostgreSQL with a clock in a table, and the keys that its devices are derived with. */
export async function openMovablePostgres(): Promise<Movable> {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  client.on('error', () => {}); // dropping the database ends it
  await client.connect();
  await client.query(STANDING_CLOCK);
  const keys = await client.query<{ inner_key: Buffer; outer_key: Buffer }>(
    'SELECT inner_key, outer_key FROM deployment_keys',
  );
  const { inner_key: inner, outer_key: outer } = keys.rows[0] ?? {};
  if (inner === undefined || outer === undefined) throw new Error('a database without keys');
  const harness = postgresHarness(database, openPg(database.url, limits, 2, unhurried));
  return {
    ...harness,
    saysShared: true,
    deviceOf: (identity) => deviceOf(identity, inner, outer),
    async messages(device) {
      const { rows } = await client.query<{ over: boolean }>(
        'SELECT turn_expires_at <= at AS over FROM conversation_states, standing_clock WHERE device_id = $1',
        [device],
      );
      const messages = await harness.messages(device);
      return rows[0]?.over === true ? messages.map(lapsed) : messages;
    },
    async setClock(at) {
      await client.query('UPDATE standing_clock SET at = $1', [new Date(at)]);
    },
    async reset() {
      await client.query(
        'TRUNCATE conversation_states, chat_sessions, chat_messages, channel_identities, lock_events, link_codes, link_tries',
      );
    },
    async close() {
      await client.end();
      await harness.close();
    },
  };
}

/** When it is noted that a worker fell while it was sending is the storage's own affair: by then it is so. */
export const lapsed = (message: StoredMessage): StoredMessage =>
  message.status === 'sending' ? { ...message, status: 'unknown' } : message;

/** As functions/baton_identity_device_v1.sql makes it, so that both sides have the same devices. */
function deviceOf(identity: string, inner: Buffer, outer: Buffer): DeviceId {
  const sha256 = (...parts: Uint8Array[]) =>
    createHash('sha256').update(Buffer.concat(parts)).digest();
  // a jsonb array prints a space after each comma
  const text = `[${(JSON.parse(identity) as string[]).map((part) => JSON.stringify(part)).join(', ')}]`;
  const hash = sha256(outer, sha256(inner, Buffer.from(text))).subarray(0, 16);
  hash[6] = ((hash[6] ?? 0) & 15) | 128;
  hash[8] = ((hash[8] ?? 0) & 63) | 128;
  const hex = hash.toString('hex');
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ];
  return groups.join('-') as DeviceId;
}

export interface Model extends Side {
  tables: Tables;
}

/** The memory storage on a clock that stands still. */
export function openModel(deviceOf: Movable['deviceOf'], start: number): Model {
  let at = start;
  const now = () => at;
  const tables = emptyTables();
  const storage = createMemoryStorage(limits, { tables, now, deviceOf });
  const harness = memoryHarness(storage, tables, now);
  return {
    ...harness,
    tables,
    async messages(device) {
      const endsAt = tables.devices.get(device)?.grant?.endsAt ?? null;
      const messages = await harness.messages(device);
      return endsAt !== null && endsAt <= at ? messages.map(lapsed) : messages;
    },
    setClock(to) {
      at = to;
      return Promise.resolve();
    },
  };
}
