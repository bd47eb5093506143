import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { limits, newDevice, take, unhurried } from '../support/storage.ts';
import { until } from '../support/waiting.ts';

// What had lapsed when the clean-up looked for it, and is renewed before the clean-up gets to it, is a live row.

let database: TestDatabase;
let opened: ReturnType<typeof openPg>;
let holder: pg.Client;
let watcher: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  opened = openPg(database.url, limits, 4, unhurried);
  holder = new pg.Client({ connectionString: database.url });
  watcher = new pg.Client({ connectionString: database.url });
  await Promise.all([holder.connect(), watcher.connect()]);
});
afterAll(async () => {
  await Promise.all([holder.end(), watcher.end(), opened.close()]);
  await database.drop();
});

it.each([
  ['lock', 'lock_expires_at', 'active_agent'],
  ['running session', 'session_expires_at', 'session_id'],
])('a %s that is being renewed stays', async (_, end, kept) => {
  const { storage } = opened;
  const { device } = await take(storage, newDevice());
  await storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
  const move = (by: string) =>
    holder.query(
      `UPDATE conversation_states SET ${end} = clock_timestamp() + interval '${by}' WHERE device_id = $1`,
      [device],
    );
  await move('-1 hour');
  await holder.query('BEGIN');
  await move('1 hour');

  let isDone = false;
  const cleaned = storage.cleanUp(100).finally(() => {
    isDone = true;
  });
  // it passes the row by, or waits for it: then it must look again
  await until('the clean-up has met the row', async () => {
    const { rows } = await watcher.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return isDone || rows.length > 0;
  });
  await holder.query('COMMIT');
  await cleaned;

  const { rows } = await watcher.query(
    `SELECT ${kept} AS kept FROM conversation_states WHERE device_id = $1`,
    [device],
  );
  expect(rows).toEqual([{ kept: expect.anything() }]);
});
