import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { hasRedis } from '../../support/redis.ts';
import { type Defect, plant, readDefects, scenarioOf } from './patch.ts';

const usage = `Usage: npm run test:defects [-- OPTIONS]

Plants one known defect after the other in a throw-away copy of the code, runs the test that each names, and shows
what caught it; before that each test is run without any defect, for what fails anyhow catches nothing. Some ten
minutes. A defect that no test catches is a missing test: write it. Ends with 0 where all were caught.

  --only NAME   one defect; may be given more than once
  --jobs N      so many at a time (2)
  --list        prints them
  --help
`;

const root = resolve(import.meta.dirname, '../../..');
/** Of the tree, what no test needs, and what is linked. */
const leftOut = new Set(['.git', '.data', '.vercel', '.bundle', 'coverage', 'node_modules']);

/** Milliseconds for one test run: what a defect lets hang is caught by that. */
const PATIENCE = 300_000;

interface Run {
  code: number | null;
  output: string;
}

async function run(cwd: string, args: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  const closed = new Promise<number | null>((done) => child.on('close', done));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const code = await closed;
  clearTimeout(timer);
  return { code, output: out + err };
}

const report = z.object({
  testResults: z.array(
    z.object({ assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })) }),
  ),
});

/** What fails when this test is run in this tree. @param pattern names of its groups; left out: all of it */
async function failures(tree: string, test: string, pattern?: string): Promise<string[]> {
  const scenario = scenarioOf(test);
  if (scenario !== null) {
    const { name, storage } = scenario;
    const options = ['--only', name, '--storage', storage];
    const { code, output } = await run(tree, ['tests/faults/main.ts', ...options]);
    const broken = [...output.matchAll(/^BROKEN (.+?)(?: {2,}|$)/gm)];
    if (code !== 0 && broken.length === 0)
      throw new Error(`${name} could not be played:\n${output.slice(-2_000)}`);
    return broken.map(([, what]) => `${name}: ${what}`);
  }
  const file = join(tree, '.report.json');
  await rm(file, { force: true });
  const filter = pattern === undefined ? [] : ['-t', `> (${pattern}) >`];
  const options = ['--reporter=json', `--outputFile=${file}`, ...filter];
  const vitest = join(tree, 'node_modules/vitest/vitest.mjs');
  const project = ['--project', test.startsWith('tests/unit/') ? 'unit' : 'server'];
  const { output } = await run(tree, [vitest, 'run', test, ...project, ...options]);
  const json = await readFile(file, 'utf8').catch(() => {
    throw new Error(`the tests could not be run:\n${output.slice(-2_000)}`);
  });
  const { testResults } = report.parse(JSON.parse(json));
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  if (all.every(({ status }) => status === 'skipped' || status === 'pending'))
    throw new Error(`${test} has no test ${pattern ?? ''}:\n${output.slice(-2_000)}`);
  return all.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
}

async function copyTree(): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), 'baton-defects-'));
  await cp(root, tree, { recursive: true, filter: (path) => !leftOut.has(basename(path)) });
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'), 'junction');
  return tree;
}

/** Runs a test over the code as it is. Gives what fails all the same, which catches nothing. */
async function tryNone(tree: string, test: string): Promise<string[]> {
  const failing = await failures(tree, test);
  for (const name of failing) console.log(`FAILS without any defect: ${name}`);
  return failing;
}

/** Plants a defect, tests, and takes it out again. Gives whether it was caught. */
async function tryOne(tree: string, defect: Defect, failing: Set<string>): Promise<boolean> {
  const started = performance.now();
  const restore = await plant(tree, defect);
  const [test = '', pattern] = defect.caughtBy.split(' > ');
  const found = await failures(tree, test, pattern).catch((error: unknown) =>
    console.error(error instanceof Error ? error.message : error),
  );
  await restore();
  const seconds = ((performance.now() - started) / 1_000).toFixed(1).padStart(6);
  const [by] = found?.filter((name) => !failing.has(name)) ?? [];
  const what = by ?? `by ${defect.caughtBy}: ${defect.what}`;
  const caught = by === undefined ? 'MISSED' : 'caught';
  console.log(`${caught} ${seconds} s  ${defect.name.padEnd(32)} ${what}`);
  return by !== undefined;
}

/** Works through the jobs, each worker in a copy of the tree. */
async function inTrees<Job, Result>(
  width: number,
  jobs: readonly Job[],
  work: (tree: string, job: Job) => Promise<Result>,
): Promise<Result[]> {
  const queue = jobs.values();
  const results: Result[] = [];
  const one = async (): Promise<void> => {
    const tree = await copyTree();
    try {
      for (const job of queue) results.push(await work(tree, job));
    } finally {
      await rm(tree, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: width }, one));
  return results;
}

const needsRedis = (caughtBy: string) => scenarioOf(caughtBy)?.storage === 'redis';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      jobs: { type: 'string', default: '2' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return void process.stdout.write(usage);
  const all = readDefects();
  if (values.list) {
    for (const { name, what, caughtBy } of all)
      console.log(`${name.padEnd(32)} ${what} (${caughtBy})`);
    return;
  }
  const known = all.filter(({ name }) => values.only?.includes(name) ?? true);
  const wanted = hasRedis ? known : known.filter(({ caughtBy }) => !needsRedis(caughtBy));
  if (wanted.length < known.length)
    console.log(`redis-server is not installed: ${known.length - wanted.length} are not tried`);
  if (known.length < (values.only?.length ?? 1))
    throw new Error('there is no such defect; --list names them');

  const started = performance.now();
  const width = Math.max(1, Number(values.jobs) || 1);
  const tests = new Set(wanted.map(({ caughtBy }) => caughtBy.split(' > ')[0] ?? ''));
  const failing = new Set((await inTrees(width, [...tests], tryNone)).flat());
  console.log(`${tests.size} tests were run without any defect`);
  const caught = await inTrees(width, wanted, (tree, defect) => tryOne(tree, defect, failing));
  const missed = caught.filter((it) => !it).length;
  const seconds = ((performance.now() - started) / 1_000).toFixed(0);
  console.log(`${wanted.length - missed} of ${wanted.length} defects were caught; ${seconds} s`);
  if (missed > 0) console.log('What was missed needs a test; name it in its .patch file.');
  process.exitCode = missed === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
