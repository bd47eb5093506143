import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { findFaketime } from './instances.ts';
import { leftOut, scenarios, scenariosOver } from './scenarios.ts';
import { type StorageName, storageNames } from './storage.ts';
import { columns, heading, isKept, NOT_MOVED, row } from './table.ts';
import { type Figure, play, type Scenario, type Server, startServer } from './world.ts';

const usage = `Usage: npm run test:faults [-- OPTIONS]

Plays faults against real instances of the deployment over a real PostgreSQL or Redis, counts what went wrong and
prints a line per promise. Ends with 0 where every promise was kept.

  --storage S   postgres (where it is left out) or redis, for which redis-server must be installed
  --only NAME   one scenario; may be given more than once
  --full        the large numbers, some twenty minutes; left out: the small ones of CI, some three minutes
  --seed N      repeats the faults of another run, as far as time allows
  --help

Scenarios:
${scenarios.map(({ name, about }) => `  ${name.padEnd(13)} ${about}`).join('\n')}

Over Redis:
${leftOut('redis')
  .map((line) => `  ${line}`)
  .join('\n')}
`;

/** What is worked on, on a terminal only; the next line of the table writes over it. */
function showProgress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`);
}

async function playOne(
  scenario: Scenario,
  server: Server,
  seed: number,
  full: boolean,
): Promise<boolean> {
  const started = performance.now();
  const progress = (done: number, of: number) => showProgress(`${scenario.name}  ${done} of ${of}`);
  showProgress(scenario.name);
  let figures: Figure[];
  try {
    figures = await play(scenario, { server, seed, full, progress });
  } catch (error) {
    showProgress('');
    console.log(columns(['BROKEN', `${scenario.name}: it could not be played`]));
    console.log(error);
    return false;
  }
  const seconds = (performance.now() - started) / 1_000;
  showProgress('');
  for (const figure of figures) console.log(row(figure, seconds, seed));
  return figures.every(isKept);
}

/** What of the options a run needs. @throws Error with a sentence about the one that is wrong */
function readOptions() {
  const { values } = parseArgs({
    options: {
      storage: { type: 'string', default: 'postgres' },
      only: { type: 'string', multiple: true },
      full: { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { storage, only, full, help } = values;
  if (!isStorage(storage))
    throw new Error(`--storage takes ${Object.keys(storageNames).join(' or ')}`);
  const unknown = only?.filter((name) => !scenarios.some((known) => known.name === name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`there is no scenario ${unknown.join(', ')}; --help lists them`);
  const wanted = scenariosOver(storage).filter(({ name }) => only?.includes(name) ?? true);
  if (wanted.length === 0) throw new Error(leftOut(storage).join('\n'));
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error('--seed takes a whole number');
  return { storage, wanted, full, seed, help };
}

const isStorage = (name: string): name is StorageName => name in storageNames;

async function main(): Promise<void> {
  const { storage, wanted, full, seed, help } = readOptions();
  if (help) return void process.stdout.write(usage);
  const started = performance.now();
  const server = await startServer(storage);
  let broken = 0;
  try {
    const machine = `${cpus().length} cores, node ${process.version}`;
    console.log(`${machine}, over ${storageNames[storage]}, ${full ? 'full' : 'small'} size`);
    if (findFaketime() === null) console.log(NOT_MOVED);
    for (const line of leftOut(storage)) console.log(line);
    console.log(heading);
    for (const scenario of wanted) {
      if (!(await playOne(scenario, server, seed, full))) broken++;
    }
  } finally {
    await server.close();
  }
  const seconds = ((performance.now() - started) / 1_000).toFixed(0);
  const again = `npm run test:faults -- --storage ${storage} --seed ${seed}`;
  console.log(
    broken === 0
      ? `every promise was kept; ${seconds} s`
      : `${broken} of ${wanted.length} scenarios broke a promise; again: ${again}`,
  );
  process.exit(broken === 0 ? 0 : 1);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
