import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleDrivers } from '../../dev/build/bundle.ts';
import { askFunction, measureColdStarts } from '../../dev/build/cold.ts';
import { routes } from '../api/calls.ts';
import { sendOver, serve } from '../support/deployed.ts';
import { compilerMs, copyCheckout, deploy, type Deployment } from '../support/deployment.ts';
import { createDatabase } from '../support/postgres.ts';

// That the deployment answers as the contract says is the project `deployed` of vitest.config.ts: every test of
// tests/api/ once more, over HTTP, against what is built here. These are about the rest of a deployment.

const root = resolve(import.meta.dirname, '../..');
const sources = readdirSync(join(root, 'api'), { recursive: true, encoding: 'utf8' })
  .map((name) => `api/${name}`)
  .filter((name) => name.endsWith('.ts'));

let folder: string;
let output: string;
let deployment: Deployment;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-deploy-'));
  output = join(folder, 'output');
  deployment = await deploy(await copyCheckout(join(folder, 'checkout')), output);
}, compilerMs);
afterAll(() => rm(folder, { recursive: true, force: true }));

const builtFrom = (source: string) => {
  const built = deployment.functions.find((each) => each.source === source);
  if (built === undefined) throw new Error(`${source} was not built`);
  return built;
};

test('there are at most 10 functions', () => {
  expect(sources.length).toBeLessThanOrEqual(10);
  expect(deployment.functions).toHaveLength(sources.length);
});

// A deployment does not check them: a wrong path is a 404 at night.
test('each cron calls a function, at most once a day', async () => {
  const { crons } = JSON.parse(await readFile(join(root, 'vercel.json'), 'utf8'));
  for (const { path, schedule } of crons) {
    expect(sources).toContain(`${path.slice(1)}.ts`);
    expect(schedule).toMatch(/^\d+ \d+ \* \* \*$/);
  }
});

test('each function is its bundle and the storages, at most 5 files, and runs on plain Node 24', () => {
  for (const source of sources) {
    const { handler, names, runtime } = builtFrom(source);
    expect(runtime).toBe('nodejs24.x');
    const entry = source.slice(0, -'.ts'.length);
    const bundle = `.bundle/${entry.slice('api/'.length).replaceAll('/', '.')}.mjs`;
    const files = [bundle, '.bundle/storage.mjs', `${entry}.js`, `${entry}.js.map`, 'package.json'];
    expect(names, source).toEqual(files.toSorted());

    const script = `
      const { OPTIONS } = await import(${JSON.stringify(handler)});
      const answer = await OPTIONS(new Request('https://baton.test/${entry}', { method: 'OPTIONS' }));
      console.log(answer.headers.get('allow'));
      process.exit();`;
    const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      env: {},
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    expect(run.stdout).toMatch(/GET|POST/);
  }
});

// By processor time: `npm run bench:cold` measures by the clock, on a machine that does nothing else.
test('no function is large or slow to load: at most three times the database driver alone', async () => {
  const [driver] = await bundleDrivers(deployment.checkout);
  if (driver === undefined) throw new Error('no driver');
  const subjects = deployment.functions.map(({ source, handler }) => {
    const path = `/${source.slice(0, -'.ts'.length)}`;
    return { name: path, file: handler, use: askFunction(path) };
  });
  const [yardstick, ...measured] = await measureColdStarts([driver, ...subjects], 5);
  const size = (file: string) => statSync(file).size;
  for (const { source, names } of deployment.functions) {
    const bytes = names.map((name) =>
      size(join(output, 'functions', source.replace(/\.ts$/, '.func'), name)),
    );
    const kilobytes = Math.round(bytes.reduce((all, each) => all + each, 0) / 1_000);
    const path = `/${source.slice(0, -'.ts'.length)}`;
    const cold = measured.find(({ name }) => name === path)?.work ?? NaN;
    const times = cold / (yardstick?.work ?? NaN);
    console.log(
      `${path}: ${names.length} files, ${kilobytes} KB, loads in ${times.toFixed(2)} times the driver`,
    );
    expect(times, path).toBeLessThan(3);
  }
});

test('it answers, on pg as on Neon: the page, a conversation, and 404 where there is nothing', async () => {
  const database = await createDatabase();
  const served = await serve(deployment.checkout, output, { DATABASE_URL: database.url });
  const device = { 'x-device-id': crypto.randomUUID() };
  const call = (path: string, init: RequestInit = {}) =>
    sendOver(served.url, new Request(`https://baton.test${path}`, { headers: device, ...init }));

  const page = await call('/');
  expect([page.status, page.headers.get('content-type')]).toEqual([
    200,
    'text/html; charset=utf-8',
  ]);
  const answer = await call('/api/webhooks/web', {
    method: 'POST',
    headers: { ...device, 'content-type': 'application/json' },
    body: JSON.stringify({ message: 'I would like to book an appointment' }),
  });
  expect(await answer.json()).toMatchObject({ active_agent: 'scheduling', persisted: true });
  expect(await (await call('/api/lock')).json()).toMatchObject({ active_agent: 'scheduling' });
  for (const path of ['/api/nothing', '/lib/app.ts', '/.bundle/lock.mjs', '/package.json']) {
    expect((await call(path)).status, path).toBe(404);
  }
  await served.kill();
  await database.drop();
});

test.each([
  ['TURN_LEASE', '0'],
  ['API_KEYS', 'too-short-hidden'],
  ['DATABASE_URL', 'mysql://hidden-password@127.0.0.1/baton'],
  ['LOG_LEVEL', 'loud'],
])(
  'with %s=%s every function answers 503 not_configured, and the log names it',
  async (name, value) => {
    const served = await serve(deployment.checkout, output, {
      DATABASE_URL: 'postgres://reader:hidden-password@127.0.0.1:1/baton',
      [name]: value,
    });
    for (const [path, [method = 'GET']] of routes) {
      const headers = { 'x-device-id': crypto.randomUUID() };
      const answer = await sendOver(
        served.url,
        new Request(`https://baton.test${path}`, { method, headers }),
      );
      const body = await answer.text();
      expect([path, answer.status, body]).toEqual([
        path,
        503,
        expect.stringContaining('"code":"not_configured"'),
      ]);
      expect(body).not.toContain(name);
    }
    await served.flushed();
    await served.kill();
    const log = JSON.stringify(served.events);
    expect(log).toContain(`${name} must be`);
    expect(log).not.toContain('hidden');
  },
);
