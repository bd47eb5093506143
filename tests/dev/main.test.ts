import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { listenLocally } from '../../dev/listen.ts';
import { createDatabase } from '../support/postgres.ts';

type Child = ChildProcessByStdio<null, Readable, Readable>;

const main = join(import.meta.dirname, '../../dev/main.ts');
const children: Child[] = [];
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'baton-main-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

afterAll(() => rm(dataDir, { recursive: true, force: true }));

function run(settings: Record<string, string> = {}, args: string[] = []): Child {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'], PORT: '0', DATA_DIR: dataDir, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

/** What a run that ends by itself prints, and its exit code. */
async function outcomeOf(child: Child): Promise<{ code: number | null; out: string; err: string }> {
  const closed = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, out, err };
}

/** Waits for the line that is a URL and nothing else; gives the lines before it as well. */
async function untilServing(child: Child): Promise<{ url: string; lines: string[] }> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (/^http:\/\/127\.0\.0\.1:\d+$/.test(line)) {
      child.stdout.resume();
      return { url: line, lines };
    }
  }
  throw new Error(`it ended:\n${lines.join('\n')}\n${await text(child.stderr)}`);
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  'it serves, and ends cleanly on %s: exit code 0, nothing left running',
  async (signal) => {
    const child = run();
    const { url } = await untilServing(child);
    expect((await fetch(`${url}/api/health`)).status).toBe(200);
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([0, null]);
    await expect(fetch(url)).rejects.toThrow();
  },
);

test('open to everybody, it warns of that at the start, and not with the first call', async () => {
  const child = run();
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('open_mode')) break;
  }
  expect(child.exitCode).toBeNull();
});

test('killed with SIGKILL, it starts again on the same data', async () => {
  const first = run();
  await untilServing(first);
  first.kill('SIGKILL');
  await once(first, 'exit');

  const { url, lines } = await untilServing(run());
  expect(lines.join('\n')).toContain('up to date');
  expect((await fetch(`${url}/api/health`)).status).toBe(200);
});

test('each mistake in the settings is a sentence, and it does not start', async () => {
  const { code, err } = await outcomeOf(run({ TURN_LEASE: 'soon', LOG_LEVEL: 'loud' }));
  expect(code).toBe(1);
  expect(err.trim().split('\n')).toEqual([
    expect.stringContaining('TURN_LEASE'),
    expect.stringContaining('LOG_LEVEL'),
  ]);
});

test('a port that is taken is a sentence', async () => {
  const other = createServer();
  const port = await listenLocally(other);
  const { code, err } = await outcomeOf(run({ PORT: String(port) }));
  other.close();
  expect(code).toBe(1);
  expect(err).toBe(`Port ${port} is taken: end what runs there, or set PORT to another one.\n`);
});

test('a database of the user is migrated and used', async () => {
  const database = await createDatabase();
  const child = run({ DATABASE_URL: database.url });
  const { url, lines } = await untilServing(child);
  expect(lines.join('\n')).toMatch(/^database: 127\.0\.0\.1:\d+\n.*up to date/);
  expect((await fetch(`${url}/api/health`)).status).toBe(200);
  child.kill('SIGTERM');
  await once(child, 'exit');
  await database.drop();
});

test('a database that cannot be reached does not keep it from starting', async () => {
  const nobody = createServer();
  const port = await listenLocally(nobody);
  nobody.close();
  const child = run({ DATABASE_URL: `postgres://someone:secret@127.0.0.1:${port}/db` });
  const { url, lines } = await untilServing(child);
  expect(lines.join('\n')).toMatch(/was not migrated \(.*ECONNREFUSED.*"npm run db:migrate"/);
  expect(lines.join('\n')).not.toContain('secret');
  expect((await fetch(`${url}/api/health`)).status).toBe(503);
});

test.each([
  ['--help', 0],
  ['--bogus', 1],
])('%s prints how to use it', async (arg, expected) => {
  const { code, out } = await outcomeOf(run({}, [arg]));
  expect(code).toBe(expected);
  expect(out).toMatch(/^Usage: npm run dev\n/);
});
