// As `vercel build` does it on the platform, without its network: `node vercel-build.ts CHECKOUT OUTPUT` runs the
// build command of the checkout's vercel.json, then the platform's own compiler on each function, and writes what
// a function consists of to OUTPUT/functions/NAME.func/. Prints a line of JSON per function.
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { detectBuilders } from '@vercel/fs-detectors';
import * as builder from '@vercel/node';
import { readdirSync } from 'node:fs';

type Output = {
  handler: string;
  runtime: string;
  files: Record<string, { fsPath: string } | { data: string | Buffer }>;
};

/** A function as it would be uploaded. */
export interface CompiledFunction {
  /** Its source, such as api/lock.ts. */
  source: string;
  /** The file whose exports the platform calls. */
  handler: string;
  runtime: string;
  /** Its files, by their names in the function's folder. */
  names: string[];
}

// The package types what functions import from it, not what deployments call.
const { build } = builder as unknown as { build(options: object): Promise<{ output: Output }> };

async function main([checkout = '', output = '']: readonly string[]): Promise<void> {
  const { buildCommand, functions } = JSON.parse(
    await readFile(join(checkout, 'vercel.json'), 'utf8'),
  ) as { buildCommand: string; functions: Record<string, { maxDuration?: number }> };
  const run = spawnSync(buildCommand, { cwd: checkout, shell: true, stdio: ['ignore', 2, 2] });
  if (run.status !== 0) process.exit(run.status ?? 1);

  const files = readdirSync(join(checkout, 'api'), { recursive: true, encoding: 'utf8' });
  const { builders } = await detectBuilders(
    files.map((file) => `api/${file}`),
    null,
    { functions },
  );
  for (const { use, src: source = '' } of builders ?? []) {
    if (use !== '@vercel/node') continue;
    console.log(JSON.stringify(await compile(checkout, output, source)));
  }
}

async function compile(
  checkout: string,
  output: string,
  source: string,
): Promise<CompiledFunction> {
  const { output: compiled } = await build({
    files: { [source]: { type: 'FileFsRef', mode: 0o644, fsPath: join(checkout, source) } },
    entrypoint: source,
    workPath: checkout,
    repoRootPath: checkout,
    config: { zeroConfig: true },
    meta: { skipDownload: true },
  });
  // the checkout's node_modules is a link, which the compiler takes along as one
  const files = Object.entries(compiled.files).filter(([name]) => name !== 'node_modules');
  const folder = join(output, 'functions', `${source.slice(0, -'.ts'.length)}.func`);
  for (const [name, file] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    const content = 'data' in file ? file.data : await readFile(file.fsPath);
    await writeFile(join(folder, name), content);
  }
  const names = files.map(([name]) => name).toSorted();
  return { source, handler: join(folder, compiled.handler), runtime: compiled.runtime, names };
}

await main(process.argv.slice(2));
