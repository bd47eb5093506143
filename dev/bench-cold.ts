import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleDrivers, bundleFunctions } from './build/bundle.ts';
import { askFunction, type ColdStart, measureColdStarts, type Subject } from './build/cold.ts';

const usage = `Usage: npm run bench:cold [-- --rounds 15]

Bundles the functions as a deployment does and loads each in fresh processes, beside a database driver alone that
was bundled the same way. Prints medians in milliseconds over a bare node, and whether the bar holds: /api/lock loads
in at most 1.5 times what the driver of Neon takes, no function in more than 3 times, none has more than 5 files.

  --rounds  processes per function (15)

Exit code 1: the bar does not hold.
`;

const root = resolve(import.meta.dirname, '..');
const most = { lock: 1.5, any: 3, files: 5 };
/** What everything is compared with. */
const yardstick = '@neondatabase/serverless';

async function main(rounds: number): Promise<boolean> {
  const functions = await bundleFunctions(root, false);
  const drivers = await bundleDrivers(root);
  const subjects: Subject[] = [
    ...drivers.map(({ name, file, use }) => ({ name, file, use })),
    ...functions.map(({ entry, bundle }) => {
      const path = `/${entry.slice(0, -'.ts'.length)}`;
      return { name: path, file: resolve(root, bundle), use: askFunction(path) };
    }),
  ];
  const results = await measureColdStarts(subjects, rounds, (round) =>
    process.stderr.write(`\rround ${round} of ${rounds}${round === rounds ? '\n' : ''}`),
  );
  const files = new Map(
    functions.map((each, index) => [subjects[drivers.length + index]?.name, each.files]),
  );
  const base = results.find(({ name }) => name === yardstick)?.import ?? NaN;
  printTable(results, files, base);
  const verdicts = judge(results, files, base);
  for (const { claim, holds } of verdicts) console.log(`${holds ? 'holds' : 'FAILS'}  ${claim}`);
  return verdicts.every(({ holds }) => holds);
}

function printTable(
  results: readonly ColdStart[],
  files: ReadonlyMap<string | undefined, number>,
  base: number,
): void {
  const rows = results.map((each) => [
    each.name,
    files.get(each.name)?.toString() ?? '',
    each.import.toFixed(1),
    `${(each.import / base).toFixed(2)} ×`,
    each.ready.toFixed(1),
  ]);
  const head = ['loaded', 'files', 'import, ms', 'of the driver', 'first answer, ms'];
  for (const row of [head, ...rows]) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(26) : cell.padStart(head[column]?.length ?? 0),
    );
    console.log(`| ${cells.join(' | ')} |`);
    if (row === head)
      console.log(
        `| ${head.map((cell, column) => '-'.repeat(column === 0 ? 26 : cell.length - 1) + (column === 0 ? '' : ':')).join(' | ')} |`,
      );
  }
}

function judge(
  results: readonly ColdStart[],
  files: ReadonlyMap<string | undefined, number>,
  base: number,
): { claim: string; holds: boolean }[] {
  const functions = results.filter(({ name }) => files.has(name));
  const lock = functions.find(({ name }) => name === '/api/lock')?.import ?? NaN;
  const slowest = Math.max(...functions.map((each) => each.import));
  const largest = Math.max(...files.values());
  return [
    {
      claim: `/api/lock loads in at most ${most.lock} times the driver`,
      holds: lock <= base * most.lock,
    },
    { claim: `no function in more than ${most.any} times`, holds: slowest <= base * most.any },
    { claim: `none has more than ${most.files} files`, holds: largest <= most.files },
  ];
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, help: { type: 'boolean', short: 'h' } },
});
const rounds = Number(values.rounds);
if (values.help === true || !Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
  console.log(usage);
  process.exitCode = values.help === true ? 0 : 1;
} else if (!(await main(rounds))) process.exitCode = 1;
