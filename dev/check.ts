import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/** What must hold before a change is shared, each in words and as a command. */
const checks: Readonly<Record<string, string>> = {
  format: 'oxfmt --check',
  lint: 'oxlint',
  types: 'tsc',
  'dead code': 'knip --no-progress',
  migrations: 'node drizzle/check.ts',
  'fast tests': 'vitest run --project unit',
};

/** All at once: the compiler and the tests leave each other room. */
async function main(): Promise<void> {
  const started = performance.now();
  const outcomes = await Promise.all(Object.entries(checks).map(run));
  const failed = outcomes.filter((passed) => !passed).length;
  console.log(failed === 0 ? `all well after ${since(started)}` : `${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

async function run([name, command]: [string, string]): Promise<boolean> {
  const started = performance.now();
  // A shell, because the tools are scripts on Windows.
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const status = new Promise<number | null>((resolve) => {
    child.on('close', resolve);
    child.on('error', () => resolve(null));
  });
  const [code, out, err] = await Promise.all([status, text(child.stdout), text(child.stderr)]);
  const passed = code === 0;
  console.log(`${passed ? 'ok    ' : 'FAILED'}  ${name.padEnd(10)}  ${since(started)}`);
  if (!passed) console.log(`${out}${err}`.trim().replaceAll(/^/gm, '        '));
  return passed;
}

function since(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}

await main();
