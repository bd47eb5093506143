import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres } from '../../dev/postgres.ts';
import { migrate } from '../../drizzle/migrate.ts';
import { createDatabase, runOn, type TestDatabase } from '../support/postgres.ts';
import { type Outcome, run } from './command.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await runOn(
    database.url,
    `INSERT INTO conversation_states (device_id, active_agent, locked_at, lock_expires_at)
     SELECT gen_random_uuid(), CASE WHEN g > 2 THEN 'billing' ELSE 'scheduling' END, now() - interval '5 minutes',
       now() + CASE WHEN g > 10 THEN -1 ELSE 1 END * interval '1 hour' FROM generate_series(1, 1210) g`,
  );
});
afterAll(() => database.drop());

const command = (file: string, ...args: string[]): Promise<Outcome> =>
  run(file, args, { DATABASE_URL: database.url });

test('stats prints tables of what there is, and of nothing else', async () => {
  const { code, out, err } = await command('stats.ts', '--since', '2026-11-01');
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/^2026-11-01T00:00:00\.000Z to /);
  expect(out).toMatch(
    /^active locks +count +median, s +95th, s\nbilling +8 +3\d\d\.\d +3\d\d\.\d\n/m,
  );
  expect(out).not.toContain('handed over');
});

test('cleanup goes on until nothing is left to do, and is counted', async () => {
  const { code, out, err } = await command('cleanup.ts');
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/^1200 locks, 0 sessions and 0 messages cleared, .* in \d+ ms\n$/);
  expect((await command('cleanup.ts')).out).toMatch(/^0 locks/);

  const { out: told } = await command('stats.ts');
  expect(told).toMatch(/^scheduling +2 /m);
  expect(told).toMatch(/^runs +2$/m);
  expect(told).toMatch(/^locks +1200$/m);
});

test.each(['stats.ts', 'cleanup.ts'])('%s says how to use it', async (file) => {
  const { code, out } = await command(file, '--help');
  expect(code).toBe(0);
  expect(out).toMatch(/^Usage: npm run /);
});

test.each([
  ['a day that is none', ['stats.ts', '--since', 'yesterday'], '--since takes a day'],
  ['a file that is not there', ['stats.ts', '--settings', 'none.env'], 'There is no file none.env'],
] as const)('%s: one sentence, and exit code 1', async (_, [file, ...args], sentence) => {
  const { code, err } = await command(file, ...args);
  expect(code).toBe(1);
  expect(err).toContain(sentence);
  expect(err.trim().split('\n')).toHaveLength(1);
});

test('without DATABASE_URL they work on the database of npm run dev, whether it runs or not', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-figures-'));
  try {
    const server = await startPostgres({ dataDir, settings: { fsync: 'off' } });
    await migrate(server.url);
    const beside = await run('stats.ts', [], { DATA_DIR: dataDir });
    await server.stop();
    const alone = await run('stats.ts', [], { DATA_DIR: dataDir });
    for (const { code, out, err } of [beside, alone]) {
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(/^last run +never$/m);
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('a database of the settings’ own that is not there yet', async () => {
  const { code, err } = await run('stats.ts', [], { DATA_DIR: '/nonexistent/baton' });
  expect([code, err]).toEqual([1, expect.stringContaining('"npm run dev" makes it')]);
});
