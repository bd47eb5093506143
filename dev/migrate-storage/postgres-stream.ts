import type pg from 'pg';

/** Rows that are fetched at once, and their bytes: fewer where the ones before were large. */
const MOST = 500;
const FIRST = 16;
const BYTES = 2_097_152;

let cursors = 0;

/**
 * The rows of a query, part after part. The connection is in a transaction; other queries may run on it between.
 *
 * @param most rows at once
 */
export async function* stream<Row extends pg.QueryResultRow>(
  client: pg.Client,
  sql: string,
  values: unknown[],
  bytesOf: (row: Row) => number,
  most = MOST,
): AsyncGenerator<Row[]> {
  const name = `move_${++cursors}`;
  await client.query(`DECLARE ${name} NO SCROLL CURSOR FOR ${sql}`, values);
  for (let size = Math.min(FIRST, most); ;) {
    const { rows } = await client.query<Row>(`FETCH ${size} FROM ${name}`);
    if (rows.length === 0) break;
    yield rows;
    const bytes = rows.reduce((sum, row) => sum + bytesOf(row), 1);
    const fitting = Math.floor((BYTES * rows.length) / bytes);
    size = Math.max(1, Math.min(most, 2 * size, fitting));
  }
  await client.query(`CLOSE ${name}`);
}
