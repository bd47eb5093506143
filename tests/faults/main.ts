import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { findFaketime } from './instances.ts';
import { scenarios } from './scenarios.ts';
import { type Figure, play, type Scenario, type Server, startServer } from './world.ts';

const usage = `Usage: npm run test:faults [-- OPTIONS]

Plays faults against real instances of the deployment over a real PostgreSQL, counts what went wrong and prints a
line per promise. Ends with 0 where every promise was kept.

  --only NAME   one scenario; may be given more than once
  --full        the large numbers, some half an hour; left out: the small ones of CI, some three minutes
  --seed N      repeats the faults of another run, as far as time allows
  --help

Scenarios:
${scenarios.map(({ name, about }) => `  ${name.padEnd(13)} ${about}`).join('\n')}
`;

/** What is worked on, on a terminal only; the next line of the table writes over it. */
function showProgress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`);
}

const columns = (cells: readonly string[]): string =>
  [
    (cells[0] ?? '').padEnd(6),
    (cells[1] ?? '').padEnd(62),
    (cells[2] ?? '').padStart(7),
    (cells[3] ?? '').padStart(9),
    (cells[4] ?? '').padStart(11),
    (cells[5] ?? '').padStart(8),
    (cells[6] ?? '').padStart(11),
  ].join(' ');

const isKept = ({ n, found, atMost }: Figure): boolean => n > 0 && found <= atMost;

function row(figure: Figure, seconds: number, seed: number): string {
  const unit = figure.unit === undefined ? '' : ' ms';
  const found = `${Math.round(figure.found)}${unit}`;
  const limit = figure.atMost === 0 ? '0' : `≤ ${figure.atMost}${unit}`;
  const kept = isKept(figure) ? 'ok' : 'BROKEN';
  return columns([
    kept,
    figure.what,
    String(figure.n),
    found,
    limit,
    `${seconds.toFixed(1)} s`,
    String(seed),
  ]);
}

/** What hangs has broken a promise too; what it leaves behind ends with the process. */
async function inTime<T>(work: Promise<T>, full: boolean): Promise<T> {
  const minutes = full ? 30 : 3;
  const timer = Promise.withResolvers<never>();
  const late = setTimeout(
    () => timer.reject(new Error(`not over after ${minutes} minutes`)),
    minutes * 60_000,
  );
  try {
    return await Promise.race([work, timer.promise]);
  } finally {
    clearTimeout(late);
  }
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
    figures = await inTime(play(scenario, { server, seed, full, progress }), full);
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

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      full: { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return void process.stdout.write(usage);
  const wanted = scenarios.filter(({ name }) => values.only?.includes(name) ?? true);
  const unknown =
    values.only?.filter((name) => !scenarios.some((known) => known.name === name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`there is no scenario ${unknown.join(', ')}; --help lists them`);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error('--seed takes a whole number');

  const started = performance.now();
  const server = await startServer();
  let broken = 0;
  try {
    console.log(
      `${cpus().length} cores, node ${process.version}, ${values.full ? 'full' : 'small'} size`,
    );
    if (findFaketime() === null) {
      console.log(
        'libfaketime is not installed: the clocks of the instances are not moved (Debian: apt-get install libfaketime)',
      );
    }
    console.log(columns(['', 'what was looked for', 'of', 'found', 'must be', 'time', 'seed']));
    for (const scenario of wanted) {
      if (!(await playOne(scenario, server, seed, values.full))) broken++;
    }
  } finally {
    await server.close();
  }
  const seconds = ((performance.now() - started) / 1_000).toFixed(0);
  console.log(
    broken === 0
      ? `every promise was kept; ${seconds} s`
      : `${broken} of ${wanted.length} scenarios broke a promise; again: npm run test:faults -- --seed ${seed}`,
  );
  process.exit(broken === 0 ? 0 : 1);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
