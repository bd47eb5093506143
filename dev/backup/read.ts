import type pg from 'pg';
import { showProgress } from '../progress.ts';
import { StartupError } from '../startup-error.ts';
import { withClient } from './connection.ts';
import { type Header, linesOf, parseRow, readHeader } from './format.ts';
import { KEPT, quoted, quotedList, readTables } from './tables.ts';

/** What one transaction takes. */
const ROWS = 500;
const BYTES = 2_097_152;

/** Any number, the same for every restore: two into one database would get in each other's way. */
const ADVISORY_LOCK = 2_026_112_102;

export interface Restored {
  header: Header;
  /** How many of the file's rows were there already: of a restore that was broken off, or all of them. */
  before: number;
  rows: number;
}

/**
 * Puts a backup into an empty database. Broken off, it goes on where it was when it is run again; run once more, it
 * changes nothing. Rows and the note of how far it has come are written in one transaction.
 *
 * @throws {StartupError} where the database is not empty, or older than the backup; where the file is not whole
 */
export async function restore(url: string, file: string): Promise<Restored> {
  const header = await readHeader(file);
  return withClient(url, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCK]);
    await assertKnown(client, header);
    const total = Object.values(header.tables).reduce((sum, { rows }) => sum + rows, 0);
    const place = (await placeOf(client, header)) ?? (await begin(client, header));
    if (place.completed) return { header, before: total, rows: 0 };
    const progress = showProgress(total, 'rows');
    progress.add(place.lines);
    let line = 0;
    let batch = new Batch(header);
    for await (const text of linesOf(file)) {
      line++;
      // the header, what is there, the end
      if (line <= place.lines + 1 || line > total + 1) continue;
      batch.add(parseRow(text));
      if (!batch.isFull()) continue;
      await batch.write(client, line - 1);
      progress.add(batch.rows);
      batch = new Batch(header);
    }
    await batch.write(client, total);
    await client.query('UPDATE restores SET completed_at = now() WHERE backup_id = $1', [
      header.id,
    ]);
    await client.query('ANALYZE');
    progress.end();
    return { header, before: place.lines, rows: total - place.lines };
  });
}

interface Place {
  /** Rows of the file that are there. */
  lines: number;
  completed: boolean;
}

/** How far a restore of this backup has come; null: there was none. */
async function placeOf(client: pg.Client, { id }: Header): Promise<Place | null> {
  const { rows } = await client.query<{ lines: string; completed: boolean }>(
    'SELECT lines, completed_at IS NOT NULL AS completed FROM restores WHERE backup_id = $1',
    [id],
  );
  const [row] = rows;
  return row === undefined ? null : { lines: Number(row.lines), completed: row.completed };
}

async function assertKnown(client: pg.Client, { tables }: Header): Promise<void> {
  const here = new Map((await readTables(client)).map(({ name, columns }) => [name, columns]));
  for (const [name, { columns }] of Object.entries(tables)) {
    const missing = columns.find((column) => here.get(name)?.includes(column) !== true);
    if (missing !== undefined) {
      throw new StartupError(
        `The database has no ${name}.${missing}: bring it to the backup's version with "npm run db:migrate".`,
      );
    }
  }
}

/** Takes an empty database over: its sequences go on behind the backup's, and its own keys make room. */
async function begin(client: pg.Client, { id, sequences, tables }: Header): Promise<Place> {
  for (const table of KEPT) {
    const { rows } = await client.query(`SELECT FROM ${quoted(table)} LIMIT 1`);
    if (rows.length > 0) {
      throw new StartupError(
        `The database is not empty (${table}): restore into one that was just made and migrated.`,
      );
    }
  }
  await client.query('BEGIN');
  for (const table of Object.keys(tables)) {
    if (!KEPT.includes(table)) await client.query(`DELETE FROM ${quoted(table)}`);
  }
  for (const [name, last] of Object.entries(sequences)) {
    await client.query(
      `SELECT setval($1::regclass, greatest($2::bigint, (SELECT last_value FROM ${quoted(name)})))`,
      [quoted(name), last],
    );
  }
  await client.query('INSERT INTO restores (backup_id, lines) VALUES ($1, 0)', [id]);
  await client.query('COMMIT');
  return { lines: 0, completed: false };
}

/** Rows of any tables that are written together. */
class Batch {
  rows = 0;
  #bytes = 0;
  readonly #header: Header;
  readonly #byTable = new Map<string, string[]>();

  constructor(header: Header) {
    this.#header = header;
  }

  add({ table, row }: { table: string; row: string }): void {
    const rows = this.#byTable.get(table) ?? [];
    rows.push(row);
    this.#byTable.set(table, rows);
    this.rows++;
    this.#bytes += row.length;
  }

  isFull(): boolean {
    return this.rows >= ROWS || this.#bytes >= BYTES;
  }

  /** @param lines of the file that are there then */
  async write(client: pg.Client, lines: number): Promise<void> {
    await client.query('BEGIN');
    for (const [table, rows] of this.#byTable) {
      const columns = this.#header.tables[table]?.columns ?? [];
      const list = quotedList(columns);
      await client.query(
        `INSERT INTO ${quoted(table)} (${list}) OVERRIDING SYSTEM VALUE
         SELECT ${list} FROM json_populate_recordset(NULL::${quoted(table)}, $1::json)`,
        [`[${rows.join(',')}]`],
      );
    }
    await client.query('UPDATE restores SET lines = $2 WHERE backup_id = $1', [
      this.#header.id,
      lines,
    ]);
    await client.query('COMMIT');
  }
}
