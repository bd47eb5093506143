import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { migrate } from '../../drizzle/migrate.ts';
import { databaseUrl, runOn, type TestDatabase } from './postgres.ts';

/** A database that nobody has migrated. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl');
  const name = `empty_${randomBytes(8).toString('hex')}`;
  await runOn(server, `CREATE DATABASE ${name}`);
  return {
    url: databaseUrl(server, name),
    drop: () => runOn(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** A database that was migrated from nothing, and is no copy of the template. */
export async function createFreshDatabase(): Promise<TestDatabase> {
  const database = await createEmptyDatabase();
  await migrate(database.url);
  return database;
}

/** The rows of one query, on a connection of its own. */
export async function readFrom<Row extends pg.QueryResultRow>(
  url: string,
  query: string,
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(query)).rows;
  } finally {
    await client.end();
  }
}

/** What a database says of its tables, columns, constraints, indexes and sequences, a line each, in order. */
export async function describeTables(url: string): Promise<string[]> {
  const rows = await readFrom<{ line: string }>(
    url,
    `SELECT format('column %s.%s', table_name, concat_ws(' ', column_name, udt_name, character_maximum_length,
       datetime_precision, is_nullable, column_default, is_identity, identity_generation, is_generated, generation_expression)) AS line
     FROM information_schema.columns WHERE table_schema = 'public'
     UNION ALL
     SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = 'public'
     UNION ALL
     SELECT format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
     FROM pg_constraint WHERE connamespace = 'public'::regnamespace
     UNION ALL
     SELECT format('sequence %s %s from %s to %s by %s, %s cached', sequencename, data_type, start_value, max_value, increment_by, cache_size)
     FROM pg_sequences WHERE schemaname = 'public'`,
  );
  return rows.map(({ line }) => line).toSorted();
}

export type StoredFunction = {
  name: string;
  /** The text between its quotes. */
  body: string;
  /** Arguments, result, volatility and body, as the database prints them. */
  definition: string;
};

/** Baton's functions and what else its files make, in the order of their names. */
export async function readStoredFunctions(url: string): Promise<StoredFunction[]> {
  return readFrom<StoredFunction>(
    url,
    `SELECT proname AS name, prosrc AS body, pg_get_functiondef(oid) AS definition
     FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'baton%' ORDER BY proname, oid`,
  );
}

/** The triggers on Baton's tables. */
export async function readTriggers(url: string): Promise<string[]> {
  const rows = await readFrom<{ definition: string }>(
    url,
    'SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname',
  );
  return rows.map(({ definition }) => definition);
}
