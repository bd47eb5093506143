import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { listenLocally } from '../../dev/listen.ts';
import { createDatabase, databaseUrl, runOn, type TestDatabase } from '../support/postgres.ts';
import { type Outcome, run } from './command.ts';

const long = (letter: string) => letter.repeat(32);
const secrets = {
  API_KEYS: long('a'),
  DEVICE_TOKEN_SECRET: long('b'),
  CRON_SECRET: long('c'),
  VERCEL_ENV: 'production',
};

let database: TestDatabase;
const servers: Server[] = [];

beforeAll(async () => {
  database = await createDatabase();
});
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => database.drop());

async function listen(server: Server): Promise<string> {
  servers.push(server);
  return `http://127.0.0.1:${await listenLocally(server)}`;
}

/** Upstash Redis, as far as a PING goes. */
const startCache = (): Promise<string> =>
  listen(
    createServer((request, response) => {
      const authorized = request.headers.authorization === 'Bearer cache-token';
      const encode = (text: string) =>
        request.headers['upstash-encoding'] === 'base64'
          ? Buffer.from(text).toString('base64')
          : text;
      const one = { result: encode('PONG') };
      const answer = request.url === '/pipeline' ? [one] : one;
      response.statusCode = authorized ? 200 : 401;
      response.end(JSON.stringify(authorized ? answer : { error: 'Unauthorized' }));
    }),
  );

/** Meta, which knows one number and one token. */
const startMeta = (): Promise<string> =>
  listen(
    createServer((request, response) => {
      const known =
        request.url?.startsWith('/v26.0/200000000000001?') || request.url?.startsWith('/v26.0/me?');
      const error =
        request.headers.authorization !== 'Bearer the-token' ? 190 : known === true ? null : 100;
      response.statusCode = error === null ? 200 : 400;
      response.end(
        JSON.stringify(
          error === null ? { id: '1' } : { error: { code: error, message: 'in words' } },
        ),
      );
    }),
  );

const lines = ({ out }: Outcome) =>
  out
    .trim()
    .split('\n')
    .map((line) => line.replaceAll(/ {2,}/g, '  ').trim());

const whatsapp = (url: string) => ({
  WHATSAPP_API_URL: url,
  WHATSAPP_ACCESS_TOKEN: 'the-token',
  WHATSAPP_APP_SECRET: 'app-secret',
  WHATSAPP_VERIFY_TOKEN: 'verify',
});

test('a deployment that lacks nothing: a line each, exit code 0', async () => {
  const outcome = await run('doctor.ts', [], {
    ...secrets,
    DATABASE_URL: database.url,
    DATABASE_URL_UNPOOLED: database.url,
    KV_REST_API_URL: await startCache(),
    KV_REST_API_TOKEN: 'cache-token',
    ...whatsapp(await startMeta()),
    WHATSAPP_PHONE_NUMBER_IDS: '200000000000001',
  });
  expect(lines(outcome)).toEqual([
    'ok  keys  1 of API_KEYS',
    'ok  device tokens DEVICE_TOKEN_SECRET is set',
    'ok  cron  CRON_SECRET is set',
    expect.stringMatching(
      /^ok {2}database {2}PostgreSQL \d+\.\d+ .*at 127\.0\.0\.1:\d+, over pg, \d+ ms$/,
    ),
    expect.stringMatching(/^ok {2}migrations {2}all \d+$/),
    expect.stringMatching(/^ok {2}direct URL {2}127\.0\.0\.1:\d+, for migrations$/),
    expect.stringMatching(/^ok {2}cache {2}127\.0\.0\.1:\d+, \d+ ms$/),
    expect.stringMatching(/^ok {2}whatsapp {2}Meta knows number 200000000000001, \d+ ms$/),
    'nothing to do',
  ]);
  expect(outcome.code).toBe(0);
});

test('a fresh clone lacks nothing that it needs', async () => {
  const outcome = await run('doctor.ts');
  expect(outcome.code).toBe(0);
  expect(outcome.out).toContain('"npm run dev" brings its own');
  expect(outcome.out).not.toContain('TO DO');
});

test('in production what is not set must be', async () => {
  const outcome = await run('doctor.ts', [], { VERCEL_ENV: 'production' });
  expect(outcome.code).toBe(1);
  for (const name of ['API_KEYS', 'DEVICE_TOKEN_SECRET', 'CRON_SECRET', 'DATABASE_URL']) {
    expect(outcome.out).toMatch(new RegExp(`^TO DO .*${name} is not set`, 'm'));
  }
  expect(outcome.out).toMatch(/^4 to do$/m);
});

test('each mistake in the settings is a line, and nothing else is looked at', async () => {
  const outcome = await run('doctor.ts', [], { TURN_LEASE: 'soon', KV_REST_API_TOKEN: 'hidden' });
  expect(lines(outcome)).toEqual([
    expect.stringMatching(/^TO DO {2}settings {2}KV_REST_API_URL must be set/),
    expect.stringMatching(/^TO DO {2}settings {2}TURN_LEASE must be/),
    '2 to do',
  ]);
  expect(outcome.code).toBe(1);
  expect(outcome.out).not.toContain('hidden');
});

test('a database without the migrations, or without one of them, is told how to get them', async () => {
  const server = inject('postgresUrl');
  await runOn(server, 'CREATE DATABASE doctor_empty');
  const empty = databaseUrl(server, 'doctor_empty');
  const none = await run('doctor.ts', [], { DATABASE_URL: empty });
  await runOn(server, 'DROP DATABASE doctor_empty WITH (FORCE)');
  expect(none.out).toMatch(/^TO DO {2}migrations +none of \d+ is applied: "npm run db:migrate"/m);

  const other = await createDatabase();
  const newest = 'SELECT max(created_at) FROM drizzle.__drizzle_migrations';
  await runOn(other.url, `DELETE FROM drizzle.__drizzle_migrations WHERE created_at = (${newest})`);
  const older = await run('doctor.ts', [], { DATABASE_URL: other.url });
  expect(older.out).toMatch(/^TO DO {2}migrations +1 of \d+ are not applied/m);

  await runOn(
    other.url,
    `UPDATE drizzle.__drizzle_migrations SET hash = 'another' WHERE created_at = (${newest})`,
  );
  const edited = await run('doctor.ts', [], { DATABASE_URL: other.url });
  await other.drop();
  expect(edited.out).toMatch(/^TO DO {2}migrations/m);
  expect([none.code, older.code, edited.code]).toEqual([1, 1, 1]);
});

test('a direct URL that goes through a pooler is refused', async () => {
  const { out } = await run('doctor.ts', [], {
    DATABASE_URL: database.url,
    DATABASE_URL_UNPOOLED: 'postgres://u:hidden@ep-a-1-pooler.eu-central-1.aws.neon.tech/db',
  });
  expect(out).toMatch(/^TO DO {2}direct URL +DATABASE_URL_UNPOOLED goes through a pooler/m);
  expect(out).not.toContain('hidden');
});

test('what Meta refuses is told with what to do, without a token and without its words', async () => {
  const meta = whatsapp(await startMeta());
  const [expired, unseen, half] = await Promise.all([
    run('doctor.ts', [], { ...meta, WHATSAPP_ACCESS_TOKEN: 'run-out' }),
    run('doctor.ts', [], { ...meta, WHATSAPP_PHONE_NUMBER_IDS: '200000000000009' }),
    run('doctor.ts', [], { WHATSAPP_VERIFY_TOKEN: 'verify' }),
  ]);
  expect(expired.out).toMatch(
    /^TO DO {2}whatsapp +Meta refuses the token \(error 190\): .*make a new one/m,
  );
  expect(unseen.out).toMatch(
    /^TO DO {2}whatsapp +Meta refuses number 200000000000009 \(error 100\)/m,
  );
  expect(half.out).toMatch(/^TO DO {2}whatsapp +WHATSAPP_APP_SECRET is not set/m);
  expect(expired.out + unseen.out).not.toMatch(/run-out|the-token|in words/);
});

test('a cache that refuses the token is to be seen to', async () => {
  const { out, code } = await run('doctor.ts', [], {
    UPSTASH_REDIS_REST_URL: await startCache(),
    UPSTASH_REDIS_REST_TOKEN: 'another-token',
  });
  expect(out).toMatch(/^TO DO {2}cache +127\.0\.0\.1:\d+ does not answer/m);
  expect(out).not.toContain('another-token');
  expect(code).toBe(1);
});

test('what hangs is waited for, but not for ever', async () => {
  const silent = createTcpServer();
  const port = await listenLocally(silent);
  const { out } = await run('doctor.ts', [], {
    DATABASE_URL: `postgres://u:hidden@127.0.0.1:${port}/db`,
    KV_REST_API_URL: `http://127.0.0.1:${port}`,
    KV_REST_API_TOKEN: 'cache-token',
    ...whatsapp(`http://127.0.0.1:${port}`),
  });
  silent.close();
  for (const topic of ['database', 'cache', 'whatsapp']) {
    expect(out).toMatch(
      new RegExp(`^TO DO {2}${topic} +127\\.0\\.0\\.1:${port} does not answer`, 'm'),
    );
  }
  expect(out).not.toContain('hidden');
});

test('--settings names the file to read; one that is not there is a sentence', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'baton-doctor-'));
  const file = join(folder, '.env.production.local');
  await writeFile(file, 'VERCEL_ENV=production\n');
  expect((await run('doctor.ts', ['--settings', file])).code).toBe(1);
  await rm(folder, { recursive: true });
  expect(await run('doctor.ts', ['--settings', file])).toMatchObject({
    code: 1,
    err: `There is no file ${file}.\n`,
  });
});

test('--help says what for', async () => {
  expect(await run('doctor.ts', ['--help'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^Usage: npm run doctor/),
  });
});
