import { readFunctions } from '../../../drizzle/files.ts';
import pg from 'pg';

/** A change to one SQL function. */
export interface Edit {
  /** The function's file in drizzle/functions/, without `.sql`. */
  in: string;
  find: string;
  put: string;
}

/**
 * Replaces the functions of a throw-away database by changed ones.
 *
 * @throws Error where a text to be replaced is not there, or more than once: the fault would not be the one meant
 */
export async function plant(url: string, edits: readonly Edit[]): Promise<void> {
  const changed = new Map((await readFunctions()).map(({ name, sql }) => [name, sql]));
  for (const { in: name, find, put } of edits) {
    const parts = changed.get(name)?.split(find) ?? [];
    if (parts.length !== 2) {
      throw new Error(
        `${name}.sql has this text ${Math.max(parts.length - 1, 0)} times, not once: ${find}`,
      );
    }
    changed.set(name, parts.join(put));
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const { in: name } of edits) await client.query(changed.get(name) ?? '');
  } finally {
    await client.end();
  }
}
