import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { parseJson } from '../../lib/json.ts';

/** What is loaded in a fresh process: a module, and what to do with it until it could answer. */
export interface Subject {
  name: string;
  file: string;
  /** Source of an async function of the module's namespace. */
  use: string;
}

/** Medians, in milliseconds over a bare node. */
export interface ColdStart {
  name: string;
  import: number;
  /** The least processor time that an import took: what stays the same on a machine that does other things too. */
  work: number;
  /** Until it has been used as well. */
  ready: number;
}

/** Everything it may need is set, and nothing of it exists. A deployment on Neon, with keys. */
const settings = {
  DATABASE_URL: 'postgres://reader:password@ep-none-1.eu-central-1.aws.neon.tech/baton',
  API_KEYS: 'x'.repeat(32),
  DEVICE_TOKEN_SECRET: 'x'.repeat(32),
  LOG_LEVEL: 'error',
};

/** Asks a function without a credential: it reads its settings and loads its driver before it refuses. */
export const askFunction = (path: string): string => `async (module) => {
  for (const method of ['GET', 'POST']) {
    const response = await module[method](new Request('https://baton.example${path}', { method }));
    await response.text();
    if (response.status !== 405) break;
  }
}`;

/**
 * Loads each subject in processes of its own, one after the other and all of them in each round, so that what else
 * the machine does hits all alike. The clock starts once node is up and has the classes of `fetch`, which take 40 ms
 * and which the platform's own launcher has loaded before it loads a function.
 *
 * @param onRound told after each round, from 1
 */
export async function measureColdStarts(
  subjects: readonly Subject[],
  rounds: number,
  onRound: (round: number) => void = () => {},
): Promise<ColdStart[]> {
  const times = subjects.map(({ name }) => ({
    name,
    imports: [] as number[],
    readies: [] as number[],
    works: [] as number[],
  }));
  for (let round = 1; round <= rounds; round++) {
    for (const [index, subject] of subjects.entries()) {
      const [imported = NaN, ready = NaN, work = NaN] = await measureOnce(subject);
      times[index]?.imports.push(imported);
      times[index]?.readies.push(ready);
      times[index]?.works.push(work);
    }
    onRound(round);
  }
  return times.map(({ name, imports, readies, works }) => ({
    name,
    import: median(imports),
    work: Math.min(...works),
    ready: median(readies),
  }));
}

async function measureOnce({ name, file, use }: Subject): Promise<number[]> {
  const script = `
    new Request('https://baton.example/', { headers: {} });
    new Response('');
    const before = process.cpuUsage();
    const started = performance.now();
    const module = await import(${JSON.stringify(pathToFileURL(file).href)});
    const imported = performance.now();
    const { user, system } = process.cpuUsage(before);
    await (${use})(module);
    console.log(JSON.stringify([
      imported - started,
      performance.now() - started,
      (user + system) / 1_000,
    ]));
    process.exit();`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    env: settings,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  if (child.exitCode !== 0) throw new Error(`${name} does not load: ${err}`);
  // the last line: a function may log
  return parseJson(out.trim().split('\n').at(-1) ?? '') as number[];
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
