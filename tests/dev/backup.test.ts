import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportText, type FormatName, formats } from '../../lib/export.ts';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { createDatabase, runOn, type TestDatabase } from '../support/postgres.ts';
import { commit, commitOf, limits, message, newDevice, take, terms } from '../support/storage.ts';
import { type Outcome, run } from './command.ts';

const MESSAGES = Number(process.env['BACKUP_MESSAGES'] ?? 4_000);
const EACH = 20;

let folder: string;
let source: TestDatabase;
const databases: TestDatabase[] = [];
const files = { whole: '', again: '' };
/** What is in the source when it is backed up, and the last fence it has drawn. */
let kept: Record<string, string>;
let lastFence: number;

/** A device that has spoken through the storage itself, and a message it may send again. */
const person = newDevice();
const once = message(person, {
  externalId: 'm1',
  content: 'a "quoted" \\ text,\nof two lines\u2028 and 🙂',
});

async function another(): Promise<TestDatabase> {
  const database = await createDatabase();
  databases.push(database);
  return database;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-backup-'));
  files.whole = join(folder, 'whole.jsonl');
  source = await another();
  const { storage, close } = openPg(source.url, limits, 2);
  const state = { big: 12_345_678_901_234, small: 1e-7, list: [null, 'ü', { __proto__: 1 }] };
  await commit(storage, await take(storage, person, once), {
    ...commitOf('x', 'y'),
    state,
    lock: { do: 'set', agent: 'billing', ttl: 3_600 },
  });
  await storage.setLock(person, { agent: 'human', ttlSeconds: 60 }, { kind: 'none' });
  const phoned = message(person, { channel: 'whatsapp', account: 'n' });
  await storage.accept([{ ...phoned, sender: { phone: '1555', userId: 'U1' } }], terms());
  const { sessionId } = await take(storage, newDevice());
  await storage.deleteSession(sessionId, { owner: null, includeExpired: false });
  await storage.addCounts([{ name: 'turns', label: 'answered', by: 7 }]);
  lastFence = Number((await take(storage, newDevice())).fence);
  await close();
  await runOn(
    source.url,
    `INSERT INTO chat_sessions (session_id, device_id, user_id, channel, metadata, message_count, last_activity, expires_at)
     SELECT md5('s' || g)::uuid, md5('d' || g)::uuid, 'u' || g % 10, 'chat', '{"n": 123456789012345678901234567890.10}', ${EACH}, now(), now() + interval '1 hour'
     FROM generate_series(1, ${MESSAGES / EACH}) g`,
    `INSERT INTO conversation_states (device_id) SELECT md5('d' || g)::uuid FROM generate_series(1, ${MESSAGES / EACH}) g`,
    `INSERT INTO chat_messages (device_id, session_id, seq, role, content, metadata, channel, account, lane, status, answers, sent_at, created_at)
     SELECT md5('d' || g)::uuid, md5('s' || g)::uuid, k, CASE WHEN k % 2 = 0 THEN 'assistant' ELSE 'user' END, 'word' || g || E' =1+1\\t"' || repeat('ä', g % 50),
       '{"sources": [1.50]}', 'chat', 'a', 'builtin', 'answered', ARRAY[g, k], now(), now()
     FROM generate_series(1, ${MESSAGES / EACH}) g, generate_series(1, ${EACH}) k ORDER BY g, k`,
  );
  kept = await stored(source);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await Promise.all(databases.map((database) => database.drop()));
});

const command = (
  database: TestDatabase,
  file: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Outcome> => run(file, args, { DATABASE_URL: database.url, ...env });
const backUp = (database: TestDatabase, file: string) =>
  command(database, 'backup.ts', ['--out', file]);
const restore = (database: TestDatabase, file: string, env?: Record<string, string>) =>
  command(database, 'restore.ts', [file], env);

/** The content of every table, but for the note of what was restored. */
async function stored({ url }: TestDatabase): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'restores'`,
  );
  const contents: Record<string, string> = {};
  for (const { name } of tables) {
    const { rows } = await client.query(
      `SELECT count(*) || ' ' || md5(string_agg(md5(t::text), '' ORDER BY t::text)) AS content FROM ${name} t`,
    );
    contents[name] = rows[0].content;
  }
  await client.end();
  return contents;
}

/** Everything that can be exported, in every format. */
async function exports({ url }: TestDatabase): Promise<string> {
  const { storage, close } = openPg(url, limits, 1);
  const texts: string[] = [];
  const scopes = [
    ...Array.from({ length: 10 }, (_, i) => ({ user: `u${i}`, device: null as DeviceId | null })),
    { user: null, device: person },
  ];
  for (const scope of scopes) {
    for (const format of Object.keys(formats) as FormatName[]) {
      const parts = exportText({ storage }, { ...scope, includeExpired: true }, format);
      for await (const part of parts) texts.push(part);
    }
  }
  await close();
  return texts.join('');
}

test('a backup is written whole, for its owner’s eyes alone, and over no other', async () => {
  const { code, out, err } = await backUp(source, files.whole);
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/^table +rows\n/);
  // with those of the person, and the key of a deleted one
  expect(out).toMatch(new RegExp(`^chat_messages +${MESSAGES + 6}$`, 'm'));
  expect((await stat(files.whole)).mode & 0o777).toBe(0o600);
  await expect(stat(`${files.whole}.part`)).rejects.toThrow('ENOENT');

  const second = await backUp(source, files.whole);
  expect([second.code, second.err]).toEqual([1, `${files.whole} exists: name another file.\n`]);
});

test('restored into an empty database, everything is the same, byte for byte', async () => {
  const target = await another();
  const { code, out, err } = await restore(target, files.whole);
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/^\d+ rows of the backup of .+ restored\.\nNext: /);
  expect(await stored(target)).toEqual(kept);
  expect((await exports(target)) === (await exports(source))).toBe(true);

  files.again = join(folder, 'again.jsonl');
  await backUp(target, files.again);
  const rowsOf = async (file: string) => (await readFile(file, 'utf8')).split('\n').slice(1, -2);
  expect(await rowsOf(files.again)).toEqual(await rowsOf(files.whole));
});

test('a restored deployment goes on: fences grow, redeliveries and people are known', async () => {
  const target = await another();
  await restore(target, files.whole);
  const before = openPg(source.url, limits, 1);
  const after = openPg(target.url, limits, 1);
  const [again] = await after.storage.accept([once], terms());
  expect(again?.messages).toMatchObject([{ duplicate: true, status: 'answered' }]);
  const sender = { phone: '1555', userId: 'U1' };
  const from = { ...message(person), channel: 'whatsapp', account: 'n', sender };
  const [here] = await after.storage.accept([from], terms());
  const [there] = await before.storage.accept([from], terms());
  expect(here?.device).toBe(there?.device);
  const { fence } = await take(after.storage, newDevice());
  expect(Number(fence)).toBeGreaterThan(lastFence);
  await before.close();
  await after.close();
});

test('restored twice, nothing changes, also what was changed since', async () => {
  const target = await another();
  await restore(target, files.whole);
  const { storage, close } = openPg(target.url, limits, 1);
  await storage.deleteSession('c0ffee00-0000-4000-8000-000000000000', {
    owner: null,
    includeExpired: true,
  });
  await take(storage, newDevice());
  await close();
  const before = await stored(target);
  const { code, out } = await restore(target, files.whole);
  expect(code).toBe(0);
  expect(out).toMatch(/ is restored already; nothing was changed\.\n$/);
  expect(await stored(target)).toEqual(before);
});

test('broken off, it goes on where it was', async () => {
  const target = await another();
  await runOn(
    target.url,
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'enough'; END $$`,
    `CREATE TRIGGER refuse BEFORE INSERT ON chat_messages FOR EACH ROW WHEN (NEW.id > 2000) EXECUTE FUNCTION refuse()`,
  );
  const broken = await restore(target, files.whole);
  expect([broken.code, broken.err]).toEqual([
    1,
    expect.stringMatching(/did not go along \(P0001\)\. Run it again\.\n$/),
  ]);
  await runOn(target.url, 'DROP TRIGGER refuse ON chat_messages');
  const { code, out } = await restore(target, files.whole);
  expect(code).toBe(0);
  const [, rows, before] = /^(\d+) rows .+; (\d+) were there from before\.$/m.exec(out) ?? [];
  expect(Number(before)).toBeGreaterThan(1_000);
  expect(Number(rows)).toBeGreaterThan(1_000);
  expect(await stored(target)).toEqual(kept);
});

test('neither holds more than a part in memory, however much there is', async () => {
  const large = await another();
  await runOn(
    large.url,
    `INSERT INTO chat_messages (device_id, session_id, seq, role, content, metadata, channel, account, lane, status, sent_at, created_at)
     SELECT md5('d')::uuid, md5('s')::uuid, k, 'user', 'a', jsonb_build_object('a', repeat('a', 500000)), 'chat', 'a', 'builtin', 'answered', now(), now()
     FROM generate_series(1, 160) k`,
  );
  const file = join(folder, 'large.jsonl');
  const little = { NODE_OPTIONS: '--max-old-space-size=48' };
  const written = await command(large, 'backup.ts', ['--out', file], little);
  expect([written.code, written.err]).toEqual([0, '']);
  expect((await stat(file)).size).toBeGreaterThan(80_000_000);
  const target = await another();
  const { code, err } = await restore(target, file, little);
  expect([code, err]).toEqual([0, '']);
  expect(await stored(target)).toEqual(await stored(large));
});

test.each<readonly [string, (text: string) => string, RegExp]>([
  ['is no backup', () => '{"hello":1}\n', /is not a backup of Baton/],
  ['is empty', () => '', /is not a backup of Baton/],
  ['is cut off', (text) => text.slice(0, -100), /is cut off: its end is missing/],
  [
    'comes from a newer version',
    (text) => text.replace('"version":1', '"version":2'),
    /was written by a newer Baton/,
  ],
  [
    'has columns that the database has not',
    (text) => text.replace('"device_id",', '"device_id","colour",'),
    /The database has no \w+\.colour: bring it to the backup's version/,
  ],
])('a file that %s is refused, and nothing is written', async (_, change, sentence) => {
  const target = await another();
  const before = await stored(target);
  const file = join(folder, 'changed.jsonl');
  await writeFile(file, change(await readFile(files.whole, 'utf8')));
  const { code, err } = await restore(target, file);
  expect([code, err]).toEqual([1, expect.stringMatching(sentence)]);
  expect(await stored(target)).toEqual(before);
});

test('a database that holds something is left alone', async () => {
  const target = await another();
  const { storage, close } = openPg(target.url, limits, 1);
  await take(storage, newDevice());
  await close();
  const before = await stored(target);
  const { code, err } = await restore(target, files.whole);
  expect([code, err]).toEqual([1, expect.stringContaining('The database is not empty (')]);
  expect(await stored(target)).toEqual(before);
});

test.each([
  ['backup.ts', [], 'Say where to'],
  ['restore.ts', [], 'Name one file'],
  ['restore.ts', ['/nonexistent/file'], 'cannot be read (ENOENT)'],
  ['backup.ts', ['--out', '/nonexistent/file'], 'cannot be written (ENOENT)'],
] as const)('%s %j: one sentence, and exit code 1', async (file, args, sentence) => {
  const { code, err } = await command(source, file, [...args]);
  expect([code, err]).toEqual([1, expect.stringContaining(sentence)]);
  expect(err.trim().split('\n')).toHaveLength(1);
});
