import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMigrations } from '../../drizzle/files.ts';
import { migrate } from '../../drizzle/migrate.ts';
import {
  createEmptyDatabase,
  createFreshDatabase,
  describeTables,
  readFrom,
  readStoredFunctions,
} from '../support/catalog.ts';
import { createDatabase, runOn, type TestDatabase, using } from '../support/postgres.ts';

let migrated: TestDatabase;

beforeAll(async () => {
  migrated = await createFreshDatabase();
});

afterAll(() => migrated.drop());

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
