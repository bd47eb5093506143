import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  checksums,
  folder,
  type FunctionFile,
  type Migration,
  notCarried,
  readFunctions,
  readMigrations,
} from '../../drizzle/files.ts';
import { checkCopy } from '../support/drizzle-copy.ts';

// What keeps schema, functions, migrations and check sums in step, tried on copies that are not.

describe('findDrift', () => {
  it('finds nothing in a copy that nobody touched', async () => {
    expect(await checkCopy(async () => {})).toEqual([]);
  });

  it('names all at once what is changed or new in functions, edited in a migration, and earlier in the journal', async () => {
    const [before, last] = (await readMigrations()).slice(-2);
    if (before === undefined || last === undefined) throw new Error('too few migrations');
    const drift = await checkCopy(async (copy) => {
      await copy.replace('functions/baton_now_v1.sql', 'clock_timestamp()', 'now()');
      await copy.write(
        'functions/baton_new_v1.sql',
        'CREATE OR REPLACE FUNCTION baton_new_v1() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\n',
      );
      await copy.replace('0002_keys.sql', 'fillfactor = 70', 'fillfactor = 80');
      await copy.replace('meta/_journal.json', String(last.when), String(before.when - 1));
    });
    expect(drift).toEqual([
      expect.stringContaining('functions/baton_new_v1.sql differs'),
      expect.stringContaining('functions/baton_now_v1.sql differs'),
      expect.stringContaining(`${last.tag} is not later than ${before.tag}`),
      expect.stringContaining('a migration differs from migrations.sum'),
    ]);
  });

  it('notices a journal time that stands still, and a sum that is missing', async () => {
    const [before, last] = (await readMigrations()).slice(-2);
    const drift = await checkCopy(async (copy) => {
      await copy.replace('meta/_journal.json', String(last?.when), String(before?.when));
      await copy.replace('migrations.sum', /^.*0002_keys\.sql\n/m, '');
    });
    expect(drift).toEqual([
      expect.stringContaining(`${last?.tag} is not later than ${before?.tag}`),
      expect.stringContaining('a migration differs from migrations.sum'),
    ]);
  });

  it('notices a column, an index and a table that no migration carries', async () => {
    const drift = await checkCopy(async (copy) => {
      await copy.replace(
        'schema.ts',
        "turnOwner: text('turn_owner'),",
        "turnOwner: text('turn_owner'),\n    extra: text('extra'),",
      );
      await copy.replace(
        'schema.ts',
        "index('lock_events_ended').on(table.endedAt)",
        "index('lock_events_begun').on(table.startedAt)",
      );
      await copy.replace(
        'schema.ts',
        'export const versions',
        "export const extra = pgTable('extra', { id: uuid('id') });\nexport const versions",
      );
    });
    // the old index goes, the new one comes
    expect(drift).toEqual([expect.stringMatching(/^schema\.ts holds 4 change/)]);
  });
});

describe('notCarried', () => {
  const file = (name: string, body: string): FunctionFile => ({
    name,
    sql: `CREATE OR REPLACE FUNCTION ${name}() ${body};\n`,
  });
  const migration = (index: number, ...files: FunctionFile[]): Migration => ({
    tag: `000${index}_some`,
    when: index,
    sql: files.map(({ sql }) => sql).join('--> statement-breakpoint\n'),
    hash: '',
  });
  const [one, oneAgain, two] = [file('f_v1', 'AS 1'), file('f_v1', 'AS 2'), file('f_v2', 'AS 1')];

  it('is nothing where the newest migration that defines a function holds its file', () => {
    expect(notCarried([one], [migration(0, one)])).toEqual([]);
    expect(
      notCarried([oneAgain, two], [migration(0, one), migration(1, oneAgain), migration(2, two)]),
    ).toEqual([]);
  });

  it('is every function that no migration defines', () => {
    expect(notCarried([one, two], [migration(0, one)])).toEqual([two]);
    expect(notCarried([one], [])).toEqual([one]);
  });

  it('does not go by an older migration that a newer one has replaced', () => {
    expect(notCarried([one], [migration(0, one), migration(1, oneAgain)])).toEqual([one]);
  });

  it('tells names apart that begin alike', () => {
    const longer = file('f_v10', 'AS 1');
    expect(notCarried([one], [migration(0, longer)])).toEqual([one]);
  });

  it.each<[string, string, (sql: string) => string]>([
    ['a word changed', 'baton_now_v1', (sql) => sql.replace('clock_timestamp()', 'now()')],
    ['more at its end', 'baton_now_v1', (sql) => `${sql}-- more\n`],
    [
      'lost its last statement',
      'baton_lock_event_v1',
      (sql) => sql.slice(0, sql.indexOf('CREATE OR REPLACE TRIGGER')),
    ],
    [
      'lost its last line',
      'baton_settle_v1',
      (sql) => sql.slice(0, sql.lastIndexOf('\n', sql.length - 2) + 1),
    ],
    ['lost everything', 'baton_now_v1', () => ''],
  ])('is a file of this project that has %s', async (_, name, spoil) => {
    const functions = await readFunctions();
    const spoilt = functions.map((each) =>
      each.name === name ? { name, sql: spoil(each.sql) } : each,
    );
    expect(spoilt).not.toEqual(functions);
    expect(notCarried(spoilt, await readMigrations()).map((each) => each.name)).toEqual([name]);
  });

  it('is not misled by a migration that only uses a function', () => {
    const trigger = {
      ...migration(1),
      sql: 'CREATE TRIGGER t AFTER UPDATE ON x FOR EACH ROW EXECUTE FUNCTION f_v1();',
    };
    expect(notCarried([one], [migration(0, one), trigger])).toEqual([]);
  });
});

describe('checksums', () => {
  it('are a line per migration, as sha256sum prints them', async () => {
    const migrations = await readMigrations();
    expect(checksums(migrations)).toMatch(/^(?:[0-9a-f]{64} {2}\d{4}_\w+\.sql\n)+$/);
    expect(checksums(migrations)).toBe(await readFile(join(folder, 'migrations.sum'), 'utf8'));
  });

  it('change with a single character of a migration', async () => {
    const [first, ...rest] = await readMigrations();
    if (first === undefined) throw new Error('no migrations');
    const other = {
      ...first,
      hash: first.hash.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    };
    expect(checksums([other, ...rest])).not.toBe(checksums([first, ...rest]));
  });
});
