import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { migrate } from '../drizzle/migrate.ts';
import { readConfig } from '../lib/config.ts';
import { type BundledFunction, bundleFunctions } from './build/bundle.ts';
import { isBuildMachine, replaceEntries } from './build/machine.ts';
import { refuseBareHandlers } from './handlers.ts';
import { StartupError } from './startup-error.ts';

const usage = `Usage: npm run build

Makes each function of api/ one file, so that a cold start does not load hundreds, and shows how large it is.

On Vercel's build machine the functions then become their bundles, and the database of DATABASE_URL_UNPOOLED
(or POSTGRES_URL_NON_POOLING) is migrated. Anywhere else it only writes the bundles, with their source maps, to
.bundle/ and leaves every tracked file as it is.

Exit code 1: a function is over its budget or was not made by lib/http/route.ts, a setting is wrong, or the migration
failed.
`;

/**
 * Per function. V8 reads some 25 KB in a millisecond, which gzipped are 8; two thirds of it are the storages, of which
 * all are read, at the first request, and one is run.
 */
const budget = { files: 5, gzippedBytes: 245_000 };

const root = resolve(import.meta.dirname, '..');

async function main(): Promise<void> {
  const onMachine = isBuildMachine(process.env);
  const functions = await bundleFunctions(root, !onMachine);
  printTable(functions);
  refuseLarge(functions);
  await refuseBareHandlers(root);
  if (!onMachine) {
    console.log('Written to .bundle/; api/ is as it was. A deployment does this by itself.');
    return;
  }
  console.log(await replaceEntries(root, functions));
  await migrateDatabase();
}

function printTable(functions: readonly BundledFunction[]): void {
  const kb = (bytes: number) => (bytes / 1_000).toFixed(1);
  const rows = [
    ['function', 'files', 'KB', 'gzipped'],
    ...functions.map((each) => [
      each.entry,
      String(each.files),
      kb(each.bytes),
      kb(each.gzippedBytes),
    ]),
    ['at most', String(budget.files), '', kb(budget.gzippedBytes)],
  ];
  for (const [name = '', ...numbers] of rows) {
    console.log(name.padEnd(28) + numbers.map((number) => number.padStart(9)).join(''));
  }
}

function refuseLarge(functions: readonly BundledFunction[]): void {
  const large = functions.filter(
    (each) => each.files > budget.files || each.gzippedBytes > budget.gzippedBytes,
  );
  if (large.length === 0) return;
  throw new StartupError(
    `Over budget: ${large.map(({ entry }) => entry).join(', ')}. Import less there, or load it when it is needed.`,
  );
}

async function migrateDatabase(): Promise<void> {
  const read = readConfig(process.env);
  if (!read.ok) throw new StartupError(read.mistakes.join('\n'));
  const { directDatabaseUrl: url, storage } = read.config;
  if (storage === 'redis') {
    console.log('database: none, STORAGE=redis keeps everything in Redis');
    return;
  }
  if (url === null) {
    console.log(
      'database: not migrated, DATABASE_URL_UNPOOLED is not set. Before this deployment takes over, run ' +
        '"npm run db:migrate" with the direct URL.',
    );
    return;
  }
  console.log(
    `database: migrating ${new URL(url).host} for ${process.env['VERCEL_ENV'] ?? 'this deployment'}`,
  );
  await migrate(url, (line) => console.log(`database: ${line}`)).catch((error: unknown) => {
    throw new StartupError(
      `database: the migration failed (${error instanceof Error ? error.message : 'unknown error'}), so this ` +
        'deployment is not made; the one before it goes on.',
    );
  });
}

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
if (values.help === true) console.log(usage);
else {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof StartupError ? error.message : error);
    process.exitCode = 1;
  }
}
