import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FunctionFile, readFunctions } from '../../drizzle/files.ts';
import { createFreshDatabase, readStoredFunctions, readTriggers } from '../support/catalog.ts';
import { createDatabase, runOn, type TestDatabase, using } from '../support/postgres.ts';

let migrated: TestDatabase;

beforeAll(async () => {
  migrated = await createFreshDatabase();
});

afterAll(() => migrated.drop());

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
