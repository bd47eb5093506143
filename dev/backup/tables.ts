import type pg from 'pg';

/** A table as the catalogue has it. */
export interface Table {
  name: string;
  /** Without the generated ones. */
  columns: string[];
  /** Columns of the primary key. */
  key: string[];
}

/** What belongs to a database and not to what is kept in it. */
const OWN = 'restores';

/** Where nothing may be before a restore. What else there is belongs to a database that was just made, and is replaced. */
export const KEPT = [
  'conversation_states',
  'chat_sessions',
  'chat_messages',
  'channel_identities',
  'lock_events',
];

/** Every table that a backup holds. */
export async function readTables(client: pg.Client): Promise<Table[]> {
  const { rows } = await client.query<Table>(
    `SELECT c.relname AS name,
       array(SELECT a.attname::text FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns,
       array(SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (num, ord), pg_attribute a
         WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.num ORDER BY k.ord) AS key
     FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> $1 ORDER BY c.relname`,
    [OWN],
  );
  return rows;
}

/** The last number each sequence has given. */
export async function readSequences(client: pg.Client): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string; last: string }>(
    `SELECT sequencename AS name, last_value::text AS last FROM pg_sequences
     WHERE schemaname = 'public' AND last_value IS NOT NULL ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, last }) => [name, last]));
}

/** A name as it stands in a statement. */
export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const quotedList = (names: readonly string[]) => names.map(quoted).join(', ');
