import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { parseJson } from '../../lib/json.ts';
import { StartupError } from '../startup-error.ts';

// A backup is a file of JSON lines: a header, each row as ["table", {column: value}] as PostgreSQL prints it, an end. Rows are
// never parsed here: their numbers are larger than JavaScript's.

const header = z.object({
  format: z.literal('baton-backup'),
  version: z.int(),
  id: z.uuid(),
  created_at: z.string(),
  /** The last number each has given. */
  sequences: z.record(z.string(), z.string().regex(/^\d+$/)),
  tables: z.record(z.string(), z.object({ columns: z.array(z.string()), rows: z.int() })),
});

export type Header = z.infer<typeof header>;

/** Of the format. A reader takes its own and all before. */
export const VERSION = 1;

export const endLine = (id: string) => `${JSON.stringify({ end: id })}\n`;
export const rowLine = (table: string, row: string) => `["${table}",${row}]\n`;

/** @throws {StartupError} for a line that is no row */
export function parseRow(line: string): { table: string; row: string } {
  const table = /^\["([a-z_]+)",\{/.exec(line)?.[1];
  if (table === undefined || !line.endsWith('}]')) {
    throw new StartupError('This is no row of a backup: the file was changed.');
  }
  return { table, row: line.slice(table.length + 4, -1) };
}

/**
 * The header of a file that is whole.
 *
 * @throws {StartupError} that says why it cannot be restored
 */
export async function readHeader(file: string): Promise<Header> {
  const first = await firstLine(file);
  const parsed = header.safeParse(first);
  if (!parsed.success) throw new StartupError(`${file} is not a backup of Baton.`);
  const { version, id } = parsed.data;
  if (version > VERSION) {
    throw new StartupError(`${file} was written by a newer Baton: restore it with that one.`);
  }
  if ((await lastBytes(file, endLine(id).length)) !== endLine(id)) {
    throw new StartupError(`${file} is cut off: its end is missing.`);
  }
  return parsed.data;
}

async function firstLine(file: string): Promise<unknown> {
  for await (const line of linesOf(file)) {
    try {
      return parseJson(line);
    } catch {
      return null;
    }
  }
  return null;
}

async function lastBytes(file: string, count: number): Promise<string> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  const { buffer, bytesRead } = await handle.read({
    buffer: Buffer.alloc(count),
    position: Math.max(0, size - count),
  });
  return buffer.toString('utf8', 0, bytesRead);
}

/** The lines of a file, one in memory at a time. @throws {StartupError} where it cannot be read */
export async function* linesOf(file: string): AsyncGenerator<string, void> {
  let rest = '';
  const chunks = createReadStream(file, { encoding: 'utf8' }) as AsyncIterable<string>;
  try {
    for await (const chunk of chunks) {
      rest += chunk;
      if (!chunk.includes('\n')) continue;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null;
    if (code === null) throw error;
    throw new StartupError(`${file} cannot be read (${code}).`);
  }
}
