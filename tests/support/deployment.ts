import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { CompiledFunction } from './vercel-build.ts';

const root = resolve(import.meta.dirname, '../..');

/** What the platform's build machine has in its environment. */
export const buildMachine = {
  VERCEL: '1',
  CI: '1',
  VERCEL_ENV: 'preview',
  VERCEL_URL: 'baton-test.vercel.app',
};

/** Milliseconds for the platform's compiler, which starts TypeScript anew for each function. */
export const compilerMs = 300_000;

/** A checkout, and what the platform made of it. */
export interface Deployment {
  checkout: string;
  functions: CompiledFunction[];
  /** What the build command printed. */
  log: string;
}

/** A copy of everything that is tracked and has to do with a deployment. */
export async function copyCheckout(to: string): Promise<string> {
  await mkdir(to, { recursive: true });
  const names = [
    'api',
    'dev',
    'drizzle',
    'lib',
    'public',
    'package.json',
    'tsconfig.json',
    'vercel.json',
    '.gitignore',
  ];
  for (const name of names) await cp(join(root, name), join(to, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(to, 'node_modules'));
  return to;
}

/**
 * Deploys a checkout as the platform does, up to the point where it would be uploaded.
 *
 * @param env settings beside those of the build machine
 * @throws with what was printed, when the build fails
 */
export async function deploy(
  checkout: string,
  output: string,
  env: Record<string, string> = {},
): Promise<Deployment> {
  const builder = spawn(
    process.execPath,
    [join(import.meta.dirname, 'vercel-build.ts'), checkout, output],
    {
      env: { PATH: process.env['PATH'], VERCEL_INSTALL_COMPLETED: '1', ...buildMachine, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const closed = once(builder, 'close');
  const [out, log] = await Promise.all([text(builder.stdout), text(builder.stderr)]);
  await closed;
  if (builder.exitCode !== 0) throw new Error(log);
  const lines = out.split('\n').filter((line) => line.startsWith('{'));
  return { checkout, functions: lines.map((line) => JSON.parse(line) as CompiledFunction), log };
}

/**
 * Puts agents into a checkout that ask the running test what to do (remote-agents.ts), and lets it turn the sweep and
 * the writing of counts off: what a test passes to `createApp` where it calls the functions itself. Without TEST_AGENTS and TEST_SWEEPS in
 * its environment a deployment of it is as any other.
 */
export async function stage(checkout: string): Promise<void> {
  const agents = join(checkout, 'lib', 'agents');
  const lib = join(checkout, 'lib');
  await cp(join(agents, 'registry.ts'), join(agents, 'registry-own.ts'));
  await cp(join(lib, 'sweep.ts'), join(lib, 'sweep-own.ts'));
  await cp(join(lib, 'counters.ts'), join(lib, 'counters-own.ts'));
  const remote = JSON.stringify(join(import.meta.dirname, 'remote-registry.ts'));
  await writeFile(
    join(agents, 'registry.ts'),
    `import { defineAgent } from './agent.ts';
     import * as own from './registry-own.ts';
     import { remoteRegistry } from ${remote};
     export * from './registry-own.ts';
     const [url, ...keys] = (process.env['TEST_AGENTS'] ?? '').split(' ');
     export const createRegistry = url === '' ? own.createRegistry : () => remoteRegistry(defineAgent, url, keys);`,
  );
  await writeFile(
    join(lib, 'sweep.ts'),
    `import * as own from './sweep-own.ts';
     export * from './sweep-own.ts';
     export const createSweeper = process.env['TEST_SWEEPS'] === 'false' ? () => () => Promise.resolve() : own.createSweeper;`,
  );
  await writeFile(
    join(lib, 'counters.ts'),
    `import * as own from './counters-own.ts';
     export * from './counters-own.ts';
     export const createCountWriter = process.env['TEST_SWEEPS'] === 'false' ? () => () => Promise.resolve() : own.createCountWriter;`,
  );
}
