import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { checksums, folder, notCarried, readFunctions, readMigrations } from './files.ts';
import * as schema from './schema.ts';

/** Sentences about what is out of step between schema, functions and migrations; none when all is well. */
export async function findDrift(): Promise<string[]> {
  const migrations = await readMigrations();
  const drift: string[] = [];

  const newest = String(migrations.length - 1).padStart(4, '0');
  const snapshot = JSON.parse(
    await readFile(join(folder, 'meta', `${newest}_snapshot.json`), 'utf8'),
  ) as { id: string };
  const missing = await generateMigration(snapshot, generateDrizzleJson(schema, snapshot.id));
  if (missing.length > 0) {
    drift.push(
      `schema.ts holds ${missing.length} change(s) that no migration carries: npm run db:generate -- NAME`,
    );
  }
  for (const { name } of notCarried(await readFunctions(), migrations)) {
    drift.push(
      `functions/${name}.sql differs from what the migrations carry: npm run db:generate -- NAME`,
    );
  }
  for (const [index, { tag, when }] of migrations.entries()) {
    const before = migrations[index - 1];
    if (before !== undefined && when <= before.when) {
      drift.push(
        `${tag} is not later than ${before.tag}: a database that has the one would pass over the other`,
      );
    }
  }
  const kept = await readFile(join(folder, 'migrations.sum'), 'utf8');
  if (kept !== checksums(migrations)) {
    drift.push(
      'a migration differs from migrations.sum: an applied migration is never edited, write a new one',
    );
  }
  return drift;
}

if (process.argv[1] === import.meta.filename) {
  const drift = await findDrift();
  for (const sentence of drift) console.error(sentence);
  if (drift.length === 0) console.log('schema, functions and migrations are in step');
  else process.exitCode = 1;
}
