import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const main = join(import.meta.dirname, '../../dev/main.ts');
const device = '018f2c3e-7b1a-7c4d-9e21-5a0d3f6b8c11';
const children: ChildProcess[] = [];
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'baton-memory-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

afterAll(() => rm(dataDir, { recursive: true, force: true }));

/** `STORAGE=memory npm run dev`, once it answers: what it has printed before, and its URL. */
async function start(): Promise<{ said: string[]; call(path: string, body?: object): unknown }> {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'], PORT: '0', DATA_DIR: dataDir, STORAGE: 'memory' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('http://')) {
      said.push(line);
      continue;
    }
    child.stdout.resume();
    const call = async (path: string, body?: object): Promise<unknown> => {
      const answer = await fetch(`${line}${path}`, {
        headers: { 'x-device-id': device, 'content-type': 'application/json' },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
      });
      return answer.json();
    };
    return { said, call };
  }
  throw new Error(`it ended: ${said.join('\n')}`);
}

test('STORAGE=memory holds a conversation without a database, and says at start that it forgets', async () => {
  const { said, call } = await start();
  expect(said).toEqual([expect.stringMatching(/^STORAGE=memory: everything is forgotten/)]);
  for (const [message, reply] of [
    ['I would like to book an appointment', 'What would you like to book?'],
    ['A haircut', 'Which day'],
    ['Tuesday', 'At what time?'],
  ]) {
    expect(await call('/api/webhooks/web', { message })).toMatchObject({
      replies: [{ agent: 'scheduling', content: expect.stringContaining(reply ?? '') }],
      active_agent: 'scheduling',
      persisted: true,
    });
  }
  expect(await call('/api/lock')).toMatchObject({ active_agent: 'scheduling' });
  expect(await readdir(dataDir)).toEqual([]);
});

test('STORAGE=memory has forgotten all of it when it starts again', async () => {
  const { call } = await start();
  expect(await call('/api/lock')).toEqual({ device_id: device, active_agent: null });
});
