import pg from 'pg';
import { BatonError } from '../../lib/errors.ts';
import { codeOf } from '../doctor/finding.ts';
import { StartupError } from '../startup-error.ts';

/**
 * Works with a connection of its own. What the database refuses is told by its code: its own words may hold what
 * somebody has written.
 *
 * @throws {StartupError}
 */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined); // the statement under way says so
  try {
    await client.connect();
    await client.query(`SET TIME ZONE 'UTC'`);
    return await work(client);
  } catch (error) {
    if (error instanceof StartupError || error instanceof BatonError) throw error;
    throw new StartupError(
      `The database at ${new URL(url).host} did not go along (${codeOf(error)}). Run it again.`,
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}
