import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../dev/postgres.ts';
import { migrate } from '../../drizzle/migrate.ts';
import { databaseUrl, runOn } from './postgres.ts';

const template = 'baton_template';

/** One server per run: test files copy the migrated template instead of migrating again. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-test-'));
  const removeDirectory = () => rm(dataDir, { recursive: true, force: true });
  try {
    const server = await startPostgres({
      dataDir,
      settings: { fsync: 'off', max_connections: 300 },
    });
    const teardown = () => server.stop().finally(removeDirectory);
    await makeTemplate(server.url).catch(async (error: unknown) => {
      await teardown();
      throw error;
    });
    project.provide('postgresUrl', server.url);
    project.provide('postgresTemplate', template);
    return teardown;
  } catch (error) {
    await removeDirectory();
    throw error;
  }
}

async function makeTemplate(server: string): Promise<void> {
  await runOn(server, `CREATE DATABASE ${template}`);
  await migrate(databaseUrl(server, template));
  // A database somebody is connected to cannot be copied.
  await runOn(server, `ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
}
