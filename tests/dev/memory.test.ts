import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type DevServer, startDev } from '../support/dev-server.ts';
import { watchForLeaks } from '../support/leaks.ts';

const device = '018f2c3e-7b1a-7c4d-9e21-5a0d3f6b8c11';
const servers: DevServer[] = [];
const leaks = watchForLeaks();
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'baton-memory-'));
});

afterEach(async () => {
  for (const { kill, log } of servers.splice(0)) {
    await kill();
    leaks.printed(log);
  }
  expect(leaks.find()).toEqual([]);
});

afterAll(() => rm(dataDir, { recursive: true, force: true }));

/** `STORAGE=memory npm run dev`, once it answers. */
async function start(): Promise<DevServer & { call(path: string, body?: object): unknown }> {
  const server = await startDev({ PORT: '0', DATA_DIR: dataDir, STORAGE: 'memory' });
  servers.push(server);
  const call = async (path: string, body?: object): Promise<unknown> => {
    if (body !== undefined) leaks.body(JSON.stringify(body));
    const answer = await fetch(`${server.url}${path}`, {
      headers: { 'x-device-id': device, 'content-type': 'application/json' },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    });
    return answer.json();
  };
  return { ...server, call };
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
