import { neon, neonConfig, type NeonQueryFunction } from '@neondatabase/serverless';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NeonBridge, startNeonBridge } from '../support/neon-bridge.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { until } from '../support/waiting.ts';

// What the bridge answers is read by Neon's own client: it would not take anything else.

describe('the bridge to a real PostgreSQL', () => {
  let database: TestDatabase;
  let bridge: NeonBridge;
  let sql: NeonQueryFunction<false, false>;
  beforeAll(async () => {
    database = await createDatabase();
    bridge = await startNeonBridge();
    neonConfig.fetchEndpoint = bridge.endpoint;
    sql = neon(database.url);
  });
  afterAll(async () => {
    await bridge.close();
    await database.drop();
  });

  it('carries every kind of value, in any script, in one request a statement', async () => {
    const text = 'Grüße, 你好, 🙂 "quoted" \\ud83d \r\n';
    const { length } = text;
    const rows = [{ text, whole: 7, big: '9007199254740993', object: { text }, nothing: null }];
    bridge.reset();
    expect(
      await sql.query(
        'SELECT $1::text AS text, 7 AS whole, 9007199254740993 AS big, $2::jsonb AS object, null AS nothing',
        [text, { text }],
      ),
    ).toEqual(rows);
    expect(await sql.query('SELECT length($1::text)', [text])).toEqual([{ length: length - 1 }]);
    expect(bridge.count()).toBe(2);
  });

  it('refuses several statements in one', async () => {
    await expect(sql.query('SELECT 1; SELECT 2')).rejects.toMatchObject({ code: '42601' });
  });

  it('refuses half a surrogate pair, in a value and in a statement, and no code says why', async () => {
    for (const half of ['a\ud83d', '\ude00 x', '\ude00\ud83d']) {
      for (const query of [
        () => sql.query('SELECT $1::text', [half]),
        () => sql.query(`SELECT '${half}'`),
        () => sql.transaction([sql.query('SELECT 1'), sql.query('SELECT $1::text', [half])]),
      ]) {
        await expect(query()).rejects.toMatchObject({
          message: expect.stringContaining('could not parse the HTTP request body'),
          code: undefined,
        });
      }
    }
  });

  it('says what PostgreSQL found wrong', async () => {
    await expect(sql.query(`SELECT 'x'::int`)).rejects.toMatchObject({ code: '22P02' });
  });

  it('runs a list of queries as one transaction', async () => {
    const id = () => sql.query('SELECT pg_current_xact_id()::text AS id');
    const [first, second] = await sql.transaction([id(), id()]);
    expect(first).toEqual(second);
    await sql.query('CREATE TABLE whole_or_nothing ()');
    const halves = [
      sql.query('INSERT INTO whole_or_nothing DEFAULT VALUES'),
      sql.query('SELECT 1 / 0'),
    ];
    await expect(sql.transaction(halves)).rejects.toMatchObject({ code: '22012' });
    expect(await sql.query('SELECT FROM whole_or_nothing')).toEqual([]);
  });

  it('cancels a query whose client goes away', async () => {
    const away = new AbortController();
    const sleeping = async () => {
      const rows = await sql.query(
        `SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep%'`,
      );
      return rows.length > 0;
    };
    const { signal } = away;
    const fate = sql.query('SELECT pg_sleep(3600)', [], { fetchOptions: { signal } }).then(
      () => 'slept',
      (error: Error) => error.message,
    );
    await until('the query runs', sleeping);
    away.abort();
    expect(await fate).toContain('abort');
    await until('the query is cancelled', async () => !(await sleeping()));
  });
});
