import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, inject, test } from 'vitest';
import { listenLocally } from '../../dev/listen.ts';
import { buildMachine, copyCheckout } from '../support/deployment.ts';
import { createDatabase, databaseUrl, runOn } from '../support/postgres.ts';
import { type Outcome, run } from './command.ts';

/** What `vercel pull` and then `vercel build` put into the environment on anybody's machine. */
const developersBuild = {
  VERCEL: '1',
  NOW_BUILDER: '1',
  VERCEL_ENV: 'preview',
  VERCEL_URL: '',
  VERCEL_GIT_COMMIT_SHA: '',
};

const folders: string[] = [];
let checkout: string;

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'baton-build-'));
  folders.push(folder);
  checkout = await copyCheckout(join(folder, 'checkout'));
});
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

const build = (env: Record<string, string> = {}): Promise<Outcome> =>
  run('build.ts', [], env, checkout);

function git(...args: string[]): string {
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.org'];
  const { status, stdout, stderr } = spawnSync('git', [...identity, ...args], {
    cwd: checkout,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

function clone(): void {
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'as cloned');
}

const lockFunction = () => readFile(join(checkout, 'api/lock.ts'), 'utf8');

test.each([
  ['at home', {}],
  ['in the CI of the project', { CI: 'true' }],
  ['by `vercel build` on a developer’s machine', developersBuild],
])('%s it changes no tracked file, and shows each function beside its budget', async (_, env) => {
  clone();
  const { code, out } = await build({
    ...env,
    DATABASE_URL_UNPOOLED: 'postgres://nobody@127.0.0.1:1/no',
  });
  expect(code).toBe(0);
  expect(git('status', '--porcelain')).toBe('');
  expect(out).toMatch(
    /^function +files +KB +gzipped\n(api\/.+\.ts +\d +[\d.]+ +[\d.]+\n)+at most +5 +245\.0\n/,
  );
  expect(out).toContain('api/ is as it was');
  expect(out).not.toContain('migrat');
  expect(await readdir(join(checkout, '.bundle'))).toEqual(
    expect.arrayContaining(['storage.mjs', 'lock.mjs', 'lock.mjs.map', 'webhooks.whatsapp.mjs']),
  );
});

test('on the build machine the functions become their bundles, also in a clone, and nothing else changes', async () => {
  clone();
  const { code, out } = await build(buildMachine);
  expect(code).toBe(0);
  expect(await lockFunction()).toBe(`export * from '../.bundle/lock.mjs';\n`);
  expect(await readFile(join(checkout, 'api/webhooks/web.ts'), 'utf8')).toBe(
    `export * from '../../.bundle/webhooks.web.mjs';\n`,
  );
  const changed = git('status', '--porcelain').trimEnd().split('\n');
  expect(changed.filter((line) => !/^ M api\/.+\.ts$/.test(line))).toEqual([]);
  expect(out).toMatch(
    /^database: not migrated, DATABASE_URL_UNPOOLED is not set.*"npm run db:migrate"/m,
  );
  expect(existsSync(join(checkout, '.bundle/lock.mjs.map'))).toBe(false);
});

test('where api/ has changes that are not committed it overwrites nothing, wherever it thinks it is', async () => {
  clone();
  await writeFile(join(checkout, 'api/lock.ts'), `${await lockFunction()}\n// somebody's work\n`);
  const { code, out } = await build(buildMachine);
  expect(code).toBe(0);
  expect(out).toContain('not committed');
  expect(await lockFunction()).toContain(`// somebody's work`);
  expect(git('status', '--porcelain')).toBe(' M api/lock.ts\n');
});

test.each(['DATABASE_URL_UNPOOLED', 'POSTGRES_URL_NON_POOLING'])(
  'on the build machine it migrates the database of %s, and says so',
  async (name) => {
    const server = inject('postgresUrl');
    const database = `build_${name.toLowerCase()}`;
    await runOn(server, `CREATE DATABASE ${database}`);
    const url = databaseUrl(server, database);
    const first = await build({ ...buildMachine, [name]: url });
    expect(first.code).toBe(0);
    expect(first.out).toMatch(/^database: migrating 127\.0\.0\.1:\d+ for preview$/m);
    expect(first.out).toMatch(/^database: applied (\d+) of \1 migrations$/m);
    expect(first.out).not.toContain(new URL(url).password);
    await runOn(url, 'SELECT baton_now_v1()');
    await runOn(server, `DROP DATABASE ${database} WITH (FORCE)`);
  },
);

test('a database that is up to date stays as it is', async () => {
  const database = await createDatabase();
  const { code, out } = await build({ ...buildMachine, DATABASE_URL_UNPOOLED: database.url });
  await database.drop();
  expect(code).toBe(0);
  expect(out).toMatch(/^database: the database is up to date/m);
});

test('where everything is kept in Redis there is nothing to migrate', async () => {
  const redis = { UPSTASH_REDIS_REST_URL: 'https://redis.example', UPSTASH_REDIS_REST_TOKEN: 'x' };
  const { code, out } = await build({ ...buildMachine, STORAGE: 'redis', ...redis });
  expect(code).toBe(0);
  expect(out).toMatch(/^database: none, STORAGE=redis/m);
});

test('a migration that fails fails the build', async () => {
  const nobody = createServer();
  const port = await listenLocally(nobody);
  nobody.close();
  const url = `postgres://someone:hidden@127.0.0.1:${port}/db`;
  const { code, err } = await build({ ...buildMachine, DATABASE_URL_UNPOOLED: url });
  expect(code).toBe(1);
  expect(err).toMatch(/^database: the migration failed \(.*ECONNREFUSED.*\)/);
  expect(err).not.toContain('hidden');
});

test('a wrong setting fails the build, before a deployment answers 503 for it', async () => {
  const { code, err } = await build({ ...buildMachine, TURN_LEASE: 'soon', API_KEYS: 'hidden' });
  expect(code).toBe(1);
  expect(err.trim().split('\n')).toEqual([
    expect.stringMatching(/^API_KEYS must be/),
    expect.stringMatching(/^TURN_LEASE must be/),
  ]);
  expect(err).not.toContain('hidden');
});

test('a function that grew over its budget fails it, and is named', async () => {
  const random = Array.from({ length: 40_000 }, () => crypto.randomUUID()).join('');
  await writeFile(join(checkout, 'lib/large.ts'), `export const large = '${random}';\n`);
  const entry = join(checkout, 'api/health.ts');
  await cp(entry, join(checkout, 'api/large.ts'));
  const source = await readFile(entry, 'utf8');
  const used = `import { large } from '../lib/large.ts';\n${source}\nexport const size = large.length;\n`;
  await writeFile(join(checkout, 'api/large.ts'), used);
  const { code, err } = await build();
  expect(code).toBe(1);
  expect(err).toMatch(/^Over budget: api\/large\.ts\./);
});

test.each(['build.ts', 'main.ts'])(
  'a handler that no wrapper was put around, and so asks nobody who they are, ends %s',
  async (command) => {
    clone();
    await writeFile(join(checkout, 'api/debug.ts'), 'export const GET = () => new Response();\n');
    git('add', '--all');
    git('commit', '--quiet', '--message', 'in a hurry');
    const env = { ...buildMachine, STORAGE: 'memory', PORT: '0' };
    const { code, out, err } = await run(command, [], env, checkout);
    expect(code).toBe(1);
    expect(err).toMatch(/^api\/debug\.ts exports GET: .*lib\/http\/route\.ts/);
    expect(out).not.toMatch(/http:|are now their bundles/);
    expect(git('status', '--porcelain')).toBe('');
  },
);

test('a function that does not compile fails it, with the file and the line', async () => {
  await writeFile(join(checkout, 'api/lock.ts'), `import '../lib/missing.ts';\n`);
  const { code, err } = await build(buildMachine);
  expect(code).toBe(1);
  expect(err).toMatch(/api\/lock\.ts:1:\d+: ERROR: Could not resolve/);
});

test('--help says what for', async () => {
  expect(await run('build.ts', ['--help'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^Usage: npm run build\n/),
  });
});
