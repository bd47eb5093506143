import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../drizzle/migrate.ts';
import { startPostgres } from '../postgres.ts';

/**
 * A migrated PostgreSQL of a benchmark's own, with its settings as they come but for a cache as large as a small
 * server of a provider has. It goes with `running`, and everything in it.
 *
 * @returns its URL
 */
export async function startScratch(running: AsyncDisposableStack): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-bench-'));
  running.defer(() => rm(dataDir, { recursive: true, force: true }));
  const server = await startPostgres({
    dataDir,
    settings: { shared_buffers: '512MB', max_wal_size: '4GB' },
  });
  running.defer(() => server.stop());
  await migrate(server.url);
  return server.url;
}
