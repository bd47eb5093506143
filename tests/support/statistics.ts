import type pg from 'pg';
import { until } from './waiting.ts';

/**
 * What PostgreSQL has counted by now, this connection's own work included: a backend reports at most once a second, so
 * that what a test prepared would otherwise be counted somewhere within what it measures.
 *
 * @param select selects one number called `n`
 */
export async function counted(client: pg.Client, select: string): Promise<number> {
  await client.query('SELECT pg_stat_force_next_flush()');
  await client.query('SELECT pg_stat_clear_snapshot()');
  const { rows } = await client.query<{ n: string }>(select);
  return Number(rows[0]?.n);
}

/** Waits until nobody else is connected to the database: what a backend did is counted at the latest when it ends. */
export async function alone(client: pg.Client): Promise<void> {
  await until('nobody else is connected', async () => {
    const { rows } = await client.query(
      `SELECT 1 FROM pg_stat_activity
       WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    );
    return rows.length === 0;
  });
}
