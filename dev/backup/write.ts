import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type pg from 'pg';
import { showProgress } from '../progress.ts';
import { StartupError } from '../startup-error.ts';
import { withClient } from './connection.ts';
import { endLine, type Header, rowLine, VERSION } from './format.ts';
import { quoted, quotedList, readSequences, readTables, type Table } from './tables.ts';

/** Rows that are fetched at once: so many at most, and fewer where the ones before were large. */
const ROWS = 100;
const BYTES = 4_194_304;

/**
 * Writes everything that is kept into a file, as of one moment: the database is read in one transaction, which
 * keeps nobody from writing. What is not finished is never called by the file's name.
 *
 * @returns rows, by table
 * @throws {StartupError} where the file exists, or the database goes away
 */
export async function backUp(url: string, file: string): Promise<Record<string, number>> {
  if (existsSync(file)) throw new StartupError(`${file} exists: name another file.`);
  const part = `${file}.part`;
  const handle = await openPart(part);
  try {
    const rows = await withClient(url, (client) => writeAll(client, handle));
    await handle.sync();
    await handle.close();
    await rename(part, file);
    return rows;
  } catch (error) {
    await handle.close();
    await rm(part, { force: true });
    throw error;
  }
}

/** For its owner's eyes alone: it holds what people wrote, and the keys of the deployment. */
async function openPart(part: string): Promise<FileHandle> {
  try {
    return await open(part, 'w', 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new StartupError(`${part} cannot be written (${code}).`);
  }
}

async function writeAll(client: pg.Client, handle: FileHandle): Promise<Record<string, number>> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const tables = await readTables(client);
  const id = randomUUID();
  const counts: Record<string, number> = {};
  for (const { name } of tables) counts[name] = await countRows(client, name);
  const header: Header = {
    format: 'baton-backup',
    version: VERSION,
    id,
    created_at: new Date().toISOString(),
    // drawn outside of every transaction: read last, they are no lower than what stands in the rows
    sequences: await readSequences(client),
    tables: Object.fromEntries(
      tables.map(({ name, columns }) => [name, { columns, rows: counts[name] ?? 0 }]),
    ),
  };
  await handle.write(`${JSON.stringify(header)}\n`);
  const progress = showProgress(
    Object.values(counts).reduce((sum, n) => sum + n, 0),
    'rows',
  );
  for (const table of tables) await writeTable(client, handle, table, progress.add);
  progress.end();
  await handle.write(endLine(id));
  return counts;
}

async function countRows(client: pg.Client, table: string): Promise<number> {
  const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${quoted(table)}`);
  return Number(rows[0]?.n);
}

async function writeTable(
  client: pg.Client,
  handle: FileHandle,
  { name, columns, key }: Table,
  onRows: (count: number) => void,
): Promise<void> {
  await client.query(
    `DECLARE backup NO SCROLL CURSOR FOR SELECT row_to_json(t)::text AS row
     FROM (SELECT ${quotedList(columns)} FROM ${quoted(name)} ORDER BY ${quotedList(key)}) t`,
  );
  for (let size = 1; ;) {
    const { rows } = await client.query<{ row: string }>(`FETCH ${size} FROM backup`);
    if (rows.length === 0) break;
    const text = rows.map(({ row }) => rowLine(name, row)).join('');
    await handle.write(text);
    onRows(rows.length);
    const fitting = Math.floor((BYTES * rows.length) / text.length);
    size = Math.max(1, Math.min(ROWS, 2 * size, fitting));
  }
  await client.query('CLOSE backup');
}
