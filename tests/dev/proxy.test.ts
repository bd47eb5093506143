import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { startProxy } from '../support/proxy.ts';
import type { Proxy } from '../support/proxy.ts';

let database: TestDatabase;
let proxy: Proxy;
let client: pg.Client;

beforeEach(async () => {
  database = await createDatabase();
  proxy = await startProxy(database.url);
  client = new pg.Client({ connectionString: proxy.url, query_timeout: 2_000 });
  client.on('error', () => undefined);
  await client.connect();
});

afterEach(async () => {
  await proxy.close();
  await client.end();
  await database.drop();
});

test('connecting counts nothing', () => {
  expect(proxy.count()).toBe(0);
});

test.each<[string, pg.QueryConfig]>([
  ['a simple query', { text: 'select 1' }],
  ['a query with parameters', { text: 'select $1::int', values: [1] }],
  ['a named query', { name: 'one', text: 'select $1::int', values: [1] }],
  ['a large parameter', { text: 'select length($1)', values: ['x'.repeat(1_000_000)] }],
])('%s is one round trip', async (_name, query) => {
  await client.query(query);
  expect(proxy.count()).toBe(1);
  await client.query(query);
  expect(proxy.count()).toBe(2);
  proxy.reset();
  expect(proxy.count()).toBe(0);
});

test('a transaction of three statements is three round trips', async () => {
  for (const statement of ['begin', 'select 1', 'commit']) await client.query(statement);
  expect(proxy.count()).toBe(3);
});

test('hanging, nothing comes back until it resumes', async () => {
  proxy.hang();
  let answered = false;
  const answer = client.query('select 1').then(() => (answered = true));
  await new Promise((done) => setTimeout(done, 100));
  expect(answered).toBe(false);

  proxy.resume();
  await answer;
});

test('hanging, a new connection waits as well', async () => {
  proxy.hang();
  const late = new pg.Client({ connectionString: proxy.url, connectionTimeoutMillis: 100 });
  late.on('error', () => undefined);
  await expect(late.connect()).rejects.toThrow(/timeout/);
});

test('cut, queries and connections fail until it resumes', async () => {
  proxy.cut();
  await expect(client.query('select 1')).rejects.toThrow();
  const late = () => new pg.Client({ connectionString: proxy.url });
  await expect(late().connect()).rejects.toThrow();

  proxy.resume();
  const again = late();
  await again.connect();
  await again.query('select 1');
  await again.end();
});
