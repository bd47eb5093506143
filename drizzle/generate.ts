import { spawnSync } from 'node:child_process';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checksums, folder, notCarried, readFunctions, readMigrations } from './files.ts';

const HELP = `Usage: npm run db:generate -- NAME

Writes what changed in drizzle/schema.ts and drizzle/functions/ as new migrations called NAME.
Read them before you commit; an applied migration is never edited, only followed by another.`;

function drizzleKit(name: string, ...more: string[]): void {
  const run = spawnSync('drizzle-kit', ['generate', '--name', name, ...more], { stdio: 'inherit' });
  if (run.status !== 0) throw new Error('drizzle-kit failed; nothing more was written');
}

async function generate(name: string): Promise<void> {
  drizzleKit(name);
  const changed = notCarried(await readFunctions(), await readMigrations());
  if (changed.length > 0) {
    drizzleKit(`${name}_functions`, '--custom');
    const tag = (await readMigrations()).at(-1)?.tag;
    const body = [
      '-- the functions call each other; their bodies are checked when they run',
      'SET LOCAL check_function_bodies = off;',
    ]
      .concat(changed.map(({ sql }) => sql))
      .join('\n--> statement-breakpoint\n');
    await writeFile(join(folder, `${tag}.sql`), body);
    console.log(`${tag}.sql carries ${changed.map((file) => file.name).join(', ')}`);
  }
  await writeFile(join(folder, 'migrations.sum'), '');
  await appendFile(join(folder, 'migrations.sum'), checksums(await readMigrations()));
}

const name = process.argv[2];
if (name === undefined || name.startsWith('-')) {
  console.log(HELP);
  process.exitCode = name === '--help' ? 0 : 1;
} else {
  await generate(name);
}
