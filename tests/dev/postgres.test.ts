import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startPostgres } from '../../dev/postgres.ts';
import type { Postgres } from '../../dev/postgres.ts';
import { runOn } from '../support/postgres.ts';

const settings = { fsync: 'off' };
const running: Postgres[] = [];
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'baton-postgres-'));
});

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

afterAll(() => rm(dataDir, { recursive: true, force: true }));

async function start(): Promise<Postgres> {
  const server = await startPostgres({ dataDir, settings });
  running.push(server);
  return server;
}

test('rows, role and password outlive a stop', async () => {
  const first = await start();
  await runOn(first.url, 'create table kept (id int)', 'insert into kept values (7)');
  await first.stop();

  const second = await start();
  expect(new URL(second.url).password).toBe(new URL(first.url).password);
  expect(await read(second.url, 'select id from kept')).toEqual([{ id: 7 }]);
});

test('folder and password are for their owner only', async () => {
  await start();
  expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700);
  expect((await stat(join(dataDir, 'postgres.password'))).mode & 0o777).toBe(0o600);
});

test('text is UTF-8, also for upper case and search', async () => {
  const { url } = await start();
  const rows = await read(
    url,
    `select upper('é') as upper, to_tsvector('simple', 'où–là') as words`,
  );
  expect(rows).toEqual([{ upper: 'É', words: `'là':2 'où':1` }]);
});

test('a second server on the same folder is refused in one sentence', async () => {
  await start();
  await expect(startPostgres({ dataDir, settings })).rejects.toThrow(
    /^A database server \(process \d+\) already uses .*: stop it, or set DATA_DIR to another folder\.$/,
  );
});

test('a port that is taken is named', async () => {
  const { port } = await start();
  const other = await mkdtemp(join(tmpdir(), 'baton-postgres-'));
  try {
    await expect(startPostgres({ dataDir: other, port, settings })).rejects.toThrow(
      `Port ${port}, meant for the embedded database, is taken.`,
    );
  } finally {
    await rm(other, { recursive: true, force: true });
  }
});

test('right after a kill -9 of its parent it starts again with every row', async () => {
  const first = await startInAnotherProcess();
  await runOn(first.url, 'create table survived (id int)', 'insert into survived values (1)');
  first.parent.kill('SIGKILL');
  await once(first.parent, 'exit');

  const second = await start();
  expect(await read(second.url, 'select id from survived')).toEqual([{ id: 1 }]);
});

async function startInAnotherProcess() {
  const script = `
    import { startPostgres } from ${JSON.stringify(new URL('../../dev/postgres.ts', import.meta.url).href)}
    const { url } = await startPostgres(${JSON.stringify({ dataDir, settings })})
    console.log(url)`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: Buffer[] = await once(parent.stdout, 'data');
  return { parent, url: String(line).trim() };
}

async function read(url: string, query: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(query)).rows;
  } finally {
    await client.end();
  }
}
