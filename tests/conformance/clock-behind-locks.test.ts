import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import type { DeviceId, Storage, Turn } from '../../lib/storage/storage.ts';
import { until } from '../support/waiting.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { commit, commitOf, limits, message, newDevice, take, terms } from '../support/storage.ts';

// What waited for a row decides by the time at which it got it. By the time at which it began, a turn that ran out
// meanwhile would still be somebody's, and a lock would begin before the one it follows has ended.

let database: TestDatabase;
let opened: ReturnType<typeof openPg>;
/** Holds a device's row. */
let holder: pg.Client;
let watcher: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  opened = openPg(database.url, limits, 4);
  holder = new pg.Client({ connectionString: database.url });
  watcher = new pg.Client({ connectionString: database.url });
  await Promise.all([holder.connect(), watcher.connect()]);
});
afterAll(async () => {
  await Promise.all([holder.end(), watcher.end(), opened.close()]);
  await database.drop();
});

/** Runs while somebody else writes the device's row. Gives the database's time just before that one let go. */
async function behindTheRow<T>(device: DeviceId, run: () => Promise<T>): Promise<[T, Date]> {
  await holder.query('BEGIN');
  await holder.query(
    'UPDATE conversation_states SET updated_at = updated_at WHERE device_id = $1',
    [device],
  );
  const running = run();
  let released: Date | undefined;
  while (released === undefined) {
    await sleep(1);
    // it began in an earlier millisecond: the two times cannot be the same
    const { rows } = await watcher.query<{ now: Date }>(
      `SELECT baton_now_v1() AS now FROM pg_stat_activity WHERE datname = current_database()
         AND wait_event_type = 'Lock' AND query_start < clock_timestamp() - interval '3 ms'`,
    );
    released = rows[0]?.now;
  }
  await holder.query('COMMIT');
  return [await running, released];
}

const unguarded = { kind: 'none' } as const;
const billing = { agent: 'billing', ttlSeconds: 60 };

type Answer = { now: Date } | { written: false } | null;
const operations: Record<string, (storage: Storage, turn: Turn) => Promise<Answer>> = {
  accept: async (storage, { device }) =>
    (await storage.accept([message(device)], terms()))[0] ?? null,
  extend: (storage, { device, fence }) => storage.extend(device, fence, 'builtin', 60_000),
  commit: (storage, turn) => commit(storage, turn, commitOf('x')),
  fail: (storage, { device, fence }) => storage.fail(device, fence, 'Error'),
  setLock: (storage, { device }) => storage.setLock(device, billing, unguarded),
  clearLock: (storage, { device }) => storage.clearLock(device, unguarded),
  putState: (storage, { device }) => storage.putState(device, { a: 1 }, unguarded),
  patchState: (storage, { device }) => storage.patchState(device, { a: 1 }, unguarded),
};

it.each(Object.entries(operations))(
  '%s decides by the time at which it got the row',
  async (_, run) => {
    const turn = await take(opened.storage, newDevice());
    const [answer, released] = await behindTheRow(turn.device, () => run(opened.storage, turn));
    const now = answer !== null && 'now' in answer ? answer.now.getTime() : 0;
    expect(now).toBeGreaterThanOrEqual(released.getTime());
  },
);

it('a turn that ran out while somebody waited for it is theirs', async () => {
  const { storage } = opened;
  const { device } = await take(storage, newDevice());
  const [[accepted]] = await behindTheRow(device, async () => {
    const waiting = storage.accept([message(device)], terms());
    await holder.query(
      'UPDATE conversation_states SET turn_expires_at = clock_timestamp() WHERE device_id = $1',
      [device],
    );
    return waiting;
  });
  expect(accepted?.turn?.messages).toHaveLength(2);
});

// What had lapsed when the clean-up looked for it, and is renewed before it gets there, is a live row.
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
