import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import { readFrom } from '../support/catalog.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { limits } from '../support/storage.ts';
import { run } from './command.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const seed = (...args: string[]) => run('seed.ts', args, { DATABASE_URL: database.url });

test('seed makes chat sessions that are listed, searched and counted like any other', async () => {
  const { code, out, err } = await seed('--messages', '2000');
  expect([code, err]).toEqual([0, '']);
  expect(out).toBe('2000 messages in 100 chat sessions of the users seed-0 to seed-1\n');
  const { storage, close } = openPg(database.url, limits, 1);
  const scope = { user: 'seed-0', device: null, active: null, includeExpired: true };
  expect((await storage.listSessions(scope, null, 10)).total).toBe(50);
  const found = await storage.searchSessions('đặt', scope, null, 10);
  expect(found?.total).toBeGreaterThan(0);
  const page = await storage.readHistory(
    found?.sessions[0]?.id ?? '',
    { owner: null, includeExpired: true },
    null,
    100,
  );
  expect(page.history).toMatchObject({ total: 20, messages: { length: 20 } });
  const { sessions, locks } = await storage.readMetrics();
  expect(sessions).toMatchObject({ active: 50, expired: 50 });
  expect(locks).toMatchObject([{ agent: 'billing' }]);
  const [row] = await readFrom<{ right: boolean }>(
    database.url,
    `SELECT bool_and(bytes = (SELECT sum(octet_length(content)) FROM chat_messages m WHERE m.session_id = c.session_id)) AS right FROM chat_sessions c`,
  );
  expect(row?.right).toBe(true);
  await close();
});

test('once more it makes others, beside what is there', async () => {
  const { out } = await seed('--messages', '1000');
  expect(out).toBe('1000 messages in 50 chat sessions of the users seed-2 to seed-2\n');
});

test('in production it makes nothing', async () => {
  const env = {
    DATABASE_URL: database.url,
    VERCEL_ENV: 'production',
    API_KEYS: 'x'.repeat(32),
    DEVICE_TOKEN_SECRET: 'x'.repeat(32),
  };
  const { code, err } = await run('seed.ts', ['--messages', '20'], env);
  expect([code, err]).toEqual([1, expect.stringContaining('VERCEL_ENV is production')]);
});

test('the benchmark of sessions shows each call beside a SELECT, and the exit code says whether the bar holds', async () => {
  const { code, out } = await run('bench-sessions.ts', ['--sizes', '500,1000', '--calls', '10']);
  for (const name of ['SELECT by key', 'lock get', 'history', 'list of a user', 'search by a user'])
    expect(out).toMatch(new RegExp(`^${name}( +\\d+\\.\\d\\d){5}$`, 'm'));
  expect(code).toBe(/^FAILS/m.test(out) ? 1 : 0);
});

test('the benchmark of the clean-up shows what readers saw, and that no live row is gone', async () => {
  const args = ['--rows', '4000', '--expired', '1500', '--readers', '2', '--seconds', '1'];
  const { out } = await run('bench-cleanup.ts', args);
  expect(out).toContain('cleaned up: 1500 locks, 1500 sessions, 1500 messages, in ');
  expect(out).toMatch(/^holds {2}no live row is gone$/m);
});

test.each(['seed.ts', 'bench-sessions.ts', 'bench-cleanup.ts'])(
  '%s says how to use it',
  async (file) => {
    const { code, out } = await run(file, ['--help']);
    expect(code).toBe(0);
    expect(out).toMatch(/^Usage: npm run /);
  },
);
