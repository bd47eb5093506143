import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findDrift } from '../../drizzle/check.ts';
import { folder, type FunctionFile, readFunctions, readMigrations } from '../../drizzle/files.ts';
import { migrate } from '../../drizzle/migrate.ts';
import * as schema from '../../drizzle/schema.ts';
import {
  createEmptyDatabase,
  describeTables,
  readFrom,
  readStoredFunctions,
  readTriggers,
} from '../support/catalog.ts';
import { createDatabase, runOn, type TestDatabase } from '../support/postgres.ts';

/** A database for one test, gone afterwards. */
async function using<T>(
  create: () => Promise<TestDatabase>,
  test: (url: string) => Promise<T>,
): Promise<T> {
  const database = await create();
  try {
    return await test(database.url);
  } finally {
    await database.drop();
  }
}

const tables = Object.values(schema)
  .filter((entry) => is(entry, PgTable))
  .map((table) => getTableConfig(table));

let migrated: TestDatabase;

beforeAll(async () => {
  migrated = await createEmptyDatabase();
  await migrate(migrated.url);
});

afterAll(() => migrated.drop());

describe('a fresh migration', () => {
  it('is in step with schema, functions and check sums', async () => {
    expect(await findDrift()).toEqual([]);
  });

  it('makes the tables of schema.ts and no other', async () => {
    const rows = await readFrom<{ name: string }>(
      migrated.url,
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'",
    );
    expect(rows.map(({ name }) => name).toSorted()).toEqual(
      tables.map(({ name }) => name).toSorted(),
    );
    expect(tables).toHaveLength(10);
  });

  it.each(tables)(
    'gives $name the columns of schema.ts, in its order',
    async ({ name, columns }) => {
      const rows = await readFrom(
        migrated.url,
        `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
         a.attgenerated = 's' AS generated, a.attidentity = 'a' AS identity, a.atthasdef AND a.attgenerated = '' AS "hasDefault"
       FROM pg_attribute a WHERE a.attrelid = '${name}'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
      );
      expect(rows).toEqual(
        columns.map((column) => ({
          name: column.name,
          type: column
            .getSQLType()
            .replace('varchar', 'character varying')
            .replace('timestamp (', 'timestamp('),
          notNull: column.notNull,
          generated: column.generated !== undefined,
          identity: column.generatedIdentity !== undefined,
          hasDefault: column.default !== undefined,
        })),
      );
    },
  );

  it.each(tables)(
    'gives $name the indexes of schema.ts',
    async ({ name, indexes, primaryKeys, uniqueConstraints, columns }) => {
      const rows = await readFrom<{ name: string }>(
        migrated.url,
        `SELECT c.relname AS name, i.indisunique AS "unique", i.indpred IS NOT NULL AS partial, m.amname AS method,
         array(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) k) AS columns
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
       WHERE i.indrelid = '${name}'::regclass`,
      );
      const key = (named: string, on: string[]) => ({
        name: named,
        unique: true,
        partial: false,
        method: 'btree',
        columns: on,
      });
      const own = columns
        .filter((column) => column.primary)
        .map((column) => key(`${name}_pkey`, [column.name]));
      const expected = [
        ...indexes.map(({ config }) => ({
          name: config.name,
          unique: config.unique,
          partial: config.where !== undefined,
          method: config.method ?? 'btree',
          columns: config.columns.map((column) => ('name' in column ? column.name : '')),
        })),
        ...uniqueConstraints.map((constraint) =>
          key(
            constraint.getName() ?? '',
            constraint.columns.map((column) => column.name),
          ),
        ),
        ...primaryKeys.map((primary) =>
          key(
            primary.getName(),
            primary.columns.map((column) => column.name),
          ),
        ),
        ...own,
      ];
      const byName = (a: { name?: string | undefined }, b: { name?: string | undefined }) =>
        String(a.name).localeCompare(String(b.name));
      expect(rows.toSorted(byName)).toEqual(expected.toSorted(byName));
    },
  );

  it('gives what schema.ts alone would give, conditions and defaults included', async () => {
    const statements = await generateMigration(
      generateDrizzleJson({}),
      generateDrizzleJson(schema),
    );
    // what a column is generated by, or begins with, no schema can say
    const configuration = await readFile(join(folder, '0000_search.sql'), 'utf8');
    const clock = await readFile(join(folder, 'functions/baton_now_v1.sql'), 'utf8');
    const vector = await readFile(join(folder, 'functions/baton_search_vector_v1.sql'), 'utf8');
    await using(createEmptyDatabase, async (url) => {
      await runOn(url, configuration, clock, vector, ...statements);
      const fromSchema = await describeTables(url);
      expect(await describeTables(migrated.url)).toEqual(fromSchema);
      expect(fromSchema.length).toBeGreaterThan(90);
    });
  });

  it('leaves room on the pages that every turn updates', async () => {
    const rows = await readFrom(
      migrated.url,
      "SELECT reloptions FROM pg_class WHERE oid = 'conversation_states'::regclass",
    );
    expect(rows).toEqual([{ reloptions: ['fillfactor=70'] }]);
  });

  it('makes two keys of its own for each database, 64 bytes each', async () => {
    const query =
      "SELECT octet_length(inner_key) AS inner, octet_length(outer_key) AS outer, inner_key = outer_key AS same, encode(inner_key, 'hex') AS key FROM deployment_keys";
    const rows = await readFrom<{ key: string }>(migrated.url, query);
    expect(rows).toMatchObject([{ inner: 64, outer: 64, same: false }]);
    await using(createEmptyDatabase, async (url) => {
      await migrate(url);
      const [other] = await readFrom<{ key: string }>(url, query);
      expect(other?.key).toMatch(/^[0-9a-f]{128}$/);
      expect(other?.key).not.toBe(rows[0]?.key);
    });
  });
});

describe('the SQL functions', () => {
  /** What stands between the quotes of a file's function. */
  function bodyOf({ name, sql }: FunctionFile): string {
    const found = new RegExp(String.raw`FUNCTION ${name}\([^$]*\$\$([^]*?)\$\$`).exec(sql);
    if (found?.[1] === undefined) throw new Error(`no function ${name} in its file`);
    return found[1];
  }

  it('are those of the files, each once and no other', async () => {
    const stored = await readStoredFunctions(migrated.url);
    const files = await readFunctions();
    expect(stored.map(({ name }) => name)).toEqual(files.map(({ name }) => name));
    expect(files.length).toBeGreaterThan(20);
  });

  it('have names with a version, and stand one to a file', async () => {
    for (const { name, sql } of await readFunctions()) {
      expect(name).toMatch(/^baton_[a-z_]+_v\d+$/);
      expect(
        [...sql.matchAll(/CREATE OR REPLACE FUNCTION (\w+)\(/g)].map(([, defined]) => defined),
      ).toEqual([name]);
    }
  });

  it('have the bodies of their files', async () => {
    const stored = await readStoredFunctions(migrated.url);
    const bodies = (await readFunctions()).map((file) => ({ name: file.name, body: bodyOf(file) }));
    expect(stored.map(({ name, body }) => ({ name, body }))).toEqual(bodies);
  });

  it('stay as they are, arguments, results, volatility and triggers, when the files are run again', async () => {
    await using(createDatabase, async (url) => {
      const [functions, triggers] = [await readStoredFunctions(url), await readTriggers(url)];
      await runOn(
        url,
        'SET check_function_bodies = off',
        ...(await readFunctions()).map(({ sql }) => sql),
      );
      expect(await readStoredFunctions(url)).toEqual(functions);
      expect(await readTriggers(url)).toEqual(triggers);
      expect(triggers).toHaveLength(1);
    });
  });

  it('are accepted by a database that checks their bodies', async () => {
    await using(createDatabase, async (url) => {
      const run = runOn(
        url,
        'SET check_function_bodies = on',
        ...(await readFunctions()).map(({ sql }) => sql),
      );
      await expect(run).resolves.toBeUndefined();
    });
  });
});

describe('migrate', () => {
  const applied = (url: string) =>
    readFrom<{ hash: string; created_at: string }>(
      url,
      'SELECT hash, created_at FROM drizzle.__drizzle_migrations ORDER BY created_at',
    );

  it('notes every migration down, with its sum and in the order of growing times', async () => {
    const migrations = await readMigrations();
    expect(await applied(migrated.url)).toEqual(
      migrations.map(({ hash, when }) => ({ hash, created_at: String(when) })),
    );
    const times = migrations.map(({ when }) => when);
    expect(new Set(times).size).toBe(times.length);
    expect(times.toSorted((a, b) => a - b)).toEqual(times);
  });

  it('says what it does, a line per step', async () => {
    await using(createEmptyDatabase, async (url) => {
      const migrations = await readMigrations();
      const lines: string[] = [];
      await migrate(url, (line) => lines.push(line));
      expect(lines).toEqual([
        ...migrations.map(({ tag }) => `applying ${tag}`),
        `applied ${migrations.length} of ${migrations.length} migrations`,
      ]);
    });
  });

  it('twice is harmless: nothing is applied again, and keys and rows stay', async () => {
    await using(createDatabase, async (url) => {
      await runOn(
        url,
        "INSERT INTO conversation_states (device_id, state) VALUES ('6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11', '{\"a\":1}')",
      );
      const look = async () => ({
        applied: await applied(url),
        tables: await describeTables(url),
        functions: await readStoredFunctions(url),
        keys: await readFrom(url, 'SELECT * FROM deployment_keys'),
        states: await readFrom(url, 'SELECT * FROM conversation_states'),
      });
      const before = await look();
      const lines: string[] = [];
      await migrate(url, (line) => lines.push(line));
      expect(lines).toEqual([expect.stringContaining('up to date')]);
      expect(await look()).toEqual(before);
      expect(before.states).toHaveLength(1);
    });
  });

  it.each([2, 6])(
    '%i at once on an empty database all succeed, and apply each migration once',
    async (count) => {
      await using(createEmptyDatabase, async (url) => {
        const migrations = await readMigrations();
        const lines: string[] = [];
        await Promise.all(
          Array.from({ length: count }, () => migrate(url, (line) => lines.push(line))),
        );
        expect(lines.filter((line) => line.startsWith('applying'))).toEqual(
          migrations.map(({ tag }) => `applying ${tag}`),
        );
        expect(await applied(url)).toHaveLength(migrations.length);
        expect(await readFrom(url, 'SELECT id FROM deployment_keys')).toHaveLength(1);
        expect(await describeTables(url)).toEqual(await describeTables(migrated.url));
      });
    },
  );

  it('leaves no lock behind, also when it fails', async () => {
    await using(createDatabase, async (url) => {
      await runOn(url, "UPDATE drizzle.__drizzle_migrations SET hash = 'x'");
      await expect(migrate(url)).rejects.toThrow('edited');
      const locks = await readFrom(
        url,
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      );
      expect(locks).toEqual([]);
    });
  });

  it('refuses a database to which another text of a migration was applied, and changes nothing', async () => {
    const migrations = await readMigrations();
    for (const { tag, when } of migrations) {
      await using(createDatabase, async (url) => {
        await runOn(
          url,
          `UPDATE drizzle.__drizzle_migrations SET hash = repeat('0', 64) WHERE created_at = ${when}`,
          'DROP FUNCTION baton_now_v1 CASCADE',
        );
        const before = await applied(url);
        const lines: string[] = [];
        await expect(migrate(url, (line) => lines.push(line))).rejects.toThrow(
          `${tag}.sql was edited after it was applied`,
        );
        expect(lines).toEqual([]);
        expect(await applied(url)).toEqual(before);
      });
    }
  });

  it('refuses so before it applies what is missing', async () => {
    const migrations = await readMigrations();
    const last = migrations.at(-1);
    if (last === undefined) throw new Error('no migrations');
    await using(createDatabase, async (url) => {
      await runOn(
        url,
        `DELETE FROM drizzle.__drizzle_migrations WHERE created_at = ${last.when}`,
        "UPDATE drizzle.__drizzle_migrations SET hash = 'x'",
        'DROP FUNCTION baton_accept_v1',
      );
      await expect(migrate(url)).rejects.toThrow('edited');
      expect((await readStoredFunctions(url)).map(({ name }) => name)).not.toContain(
        'baton_accept_v1',
      );
    });
  });

  it('applies what is missing to a database that has the rest', async () => {
    const migrations = await readMigrations();
    const last = migrations.at(-1);
    const made = /FUNCTION (\w+)\(/.exec(last?.sql ?? '')?.[1];
    if (made === undefined) throw new Error('the last migration makes no function');
    await using(createDatabase, async (url) => {
      const complete = await readStoredFunctions(url);
      await runOn(
        url,
        `DELETE FROM drizzle.__drizzle_migrations WHERE created_at = ${last?.when}`,
        `DROP FUNCTION ${made}`,
      );
      const lines: string[] = [];
      await migrate(url, (line) => lines.push(line));
      expect(lines).toEqual([
        `applying ${last?.tag}`,
        `applied 1 of ${migrations.length} migrations`,
      ]);
      const repaired = await readStoredFunctions(url);
      expect(repaired.map(({ definition }) => definition).toSorted()).toEqual(
        complete.map(({ definition }) => definition).toSorted(),
      );
    });
  });

  it('rejects where there is no database', async () => {
    const nowhere = new URL(migrated.url);
    nowhere.pathname = '/there_is_no_such_database';
    await expect(migrate(nowhere.href)).rejects.toMatchObject({ code: '3D000' });
  });
});

// A copy of the folder and a process of its own each time, so only what the pure functions below cannot show.
