import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { pathsOf } from '../../dev/postgres/cluster.ts';
import { isAbandoned } from '../../dev/postgres/predecessor.ts';
import { startPostgres } from '../../dev/postgres.ts';
import { migrate } from '../../drizzle/migrate.ts';
import { databaseUrl, runOn } from './postgres.ts';

const template = 'baton_template';
const prefix = 'baton-test-';

/** One server per run: test files copy the migrated template instead of migrating again. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await scratch();
  await removeAbandoned(folder);
  const dataDir = await mkdtemp(join(folder, prefix));
  const running = new AsyncDisposableStack();
  const teardown = (): Promise<void> => running.disposeAsync();
  running.defer(() => rm(dataDir, { recursive: true, force: true }));
  try {
    const server = await startPostgres({
      dataDir,
      settings: { fsync: 'off', max_connections: 300 },
    });
    running.defer(() => server.stop());
    await makeTemplate(server.url);
    project.provide('postgresUrl', server.url);
    project.provide('postgresTemplate', template);
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}

/** Copying a database writes a thousand files: 20 ms in memory, 10 times as much on a plain disk. */
async function scratch(): Promise<string> {
  const memory = '/dev/shm';
  const free = await statfs(memory).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  );
  return free > 2 * 1024 ** 3 ? memory : tmpdir();
}

/** A run that is interrupted or killed gets no teardown; the next one cleans up after it. */
async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(folder);
  const homes = names.filter((name) => name.startsWith(prefix)).map((name) => join(folder, name));
  for (const home of homes) {
    if (isAbandoned(pathsOf(home))) await rm(home, { recursive: true, force: true });
  }
}

async function makeTemplate(server: string): Promise<void> {
  await runOn(server, `CREATE DATABASE ${template}`);
  await migrate(databaseUrl(server, template));
  // A database somebody is connected to cannot be copied.
  await runOn(server, `ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
}
