import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** The run's server; its role may make databases. */
    postgresUrl: string;
    /** A migrated database that nobody is connected to. */
    postgresTemplate: string;
  }
}

/** A database of its own for one test file. */
export type TestDatabase = {
  url: string;
  /** Ends what is still connected to it. */
  drop(): Promise<void>;
};

/** Copies the migrated template, in 20 to 200 ms. */
export async function createDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await runOn(
    server,
    `CREATE DATABASE ${name} TEMPLATE ${inject('postgresTemplate')} STRATEGY file_copy`,
  );
  return {
    url: databaseUrl(server, name),
    drop: () => runOn(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** A database for one test, gone afterwards. */
export async function using<T>(
  create: () => Promise<TestDatabase>,
  test: (url: string) => Promise<T>,
): Promise<T> {
  const database = await create();
  try {
    return await test(database.url);
  } finally {
    await database.drop();
  }
}

/** The same server and role, another database. */
export function databaseUrl(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

/** Runs statements one after the other on a connection of their own. */
export async function runOn(url: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
