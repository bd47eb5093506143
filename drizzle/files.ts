import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The folder of the schema, the functions and the migrations. */
export const folder = import.meta.dirname;

export interface Migration {
  /** File name without `.sql`. */
  tag: string;
  /** Milliseconds since 1970; a migration older than the last applied one would be passed over in silence. */
  when: number;
  sql: string;
  /** SHA-256 of the file, hexadecimal: what the database remembers of an applied migration. */
  hash: string;
}

export interface FunctionFile {
  name: string;
  sql: string;
}

/** The migrations in the order of the journal. */
export async function readMigrations(): Promise<Migration[]> {
  const journal = JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8')) as {
    entries: { tag: string; when: number }[];
  };
  return Promise.all(
    journal.entries.map(async ({ tag, when }) => {
      const sql = await readFile(join(folder, `${tag}.sql`), 'utf8');
      return { tag, when, sql, hash: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** The SQL functions, one per file, in the order of their names. */
export async function readFunctions(): Promise<FunctionFile[]> {
  const names = (await readdir(join(folder, 'functions'))).filter((name) => name.endsWith('.sql'));
  return Promise.all(
    names.toSorted().map(async (file) => ({
      name: file.slice(0, -'.sql'.length),
      sql: await readFile(join(folder, 'functions', file), 'utf8'),
    })),
  );
}

/**
 * The function files whose text the newest migration that defines them does not carry, whole, as one
 * of its statements: a database would run something else than the file says.
 */
export function notCarried(functions: FunctionFile[], migrations: Migration[]): FunctionFile[] {
  return functions.filter(({ name, sql }) => {
    const newest = migrations.findLast((migration) =>
      migration.sql.includes(`CREATE OR REPLACE FUNCTION ${name}(`),
    );
    const statements = newest?.sql.split('--> statement-breakpoint') ?? [];
    return !statements.some((statement) => statement.trim() === sql.trim());
  });
}

/** The lines of `migrations.sum`: hash and file of every migration that may have been applied somewhere. */
export function checksums(migrations: Migration[]): string {
  return migrations.map(({ hash, tag }) => `${hash}  ${tag}.sql\n`).join('');
}
