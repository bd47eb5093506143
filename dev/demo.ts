import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { listenLocally } from './listen.ts';

const usage = `Usage: npm run demo [-- --url http://127.0.0.1:3000]

Plays a conversation over the web webhook: hello, then a booking over several messages. In the middle of it the
server's process is killed with SIGKILL and started anew, and the conversation goes on where it was.

  --url  plays against a server that runs already, which is then not killed
`;

const root = resolve(import.meta.dirname, '..');
const name = (text: string) => text.padEnd(12);

interface Reply {
  content: string;
  agent: string;
}

/** A server of the demo's own, on the data of the one before it. */
async function startServer(port: number): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [join(root, 'dev', 'main.ts')], {
    env: {
      ...process.env,
      DATABASE_URL: '',
      API_KEYS: '',
      PORT: String(port),
      DATA_DIR: join('.data', 'demo'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const started = performance.now();
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('http://')) continue;
    child.stdout.resume(); // its log is not part of the play
    console.log(
      `${name('')}(server ${child.pid} answers after ${((performance.now() - started) / 1000).toFixed(1)} s)`,
    );
    return { process: child, url: line };
  }
  throw new Error('the server ended before it answered; npm run dev says why');
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenLocally(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Says something and prints what comes back. */
async function say(url: string, device: string, message: string): Promise<void> {
  console.log(`${name('you')}${message}`);
  const response = await fetch(`${url}/api/webhooks/web`, {
    method: 'POST',
    headers: { 'x-device-id': device, 'content-type': 'application/json' },
    body: JSON.stringify({ message, message_id: randomUUID() }),
  });
  const body = (await response.json()) as { replies?: Reply[]; detail?: string };
  if (!response.ok) throw new Error(`${response.status}: ${body.detail}`);
  for (const reply of body.replies ?? []) console.log(`${name(reply.agent)}${reply.content}`);
}

async function look(url: string, device: string, path: string): Promise<void> {
  const response = await fetch(`${url}${path}`, { headers: { 'x-device-id': device } });
  console.log(`${name('')}(GET ${path}: ${await response.text()})`);
}

async function play(url: string | undefined): Promise<void> {
  const device = randomUUID();
  const port = url === undefined ? await freePort() : 0;
  let server = url === undefined ? await startServer(port) : null;
  try {
    const base = url ?? server?.url ?? '';
    await say(base, device, 'Hello');
    await say(base, device, 'I would like to book an appointment');
    await say(base, device, 'A haircut');
    if (server !== null) {
      console.log(`${name('')}(kill -9 ${server.process.pid})`);
      server.process.kill('SIGKILL');
      await once(server.process, 'exit');
      server = await startServer(port);
    }
    await look(base, device, '/api/lock');
    await say(base, device, 'Tuesday');
    await say(base, device, 'At 10:30');
    await look(base, device, '/api/lock');
    await look(base, device, '/api/state');
  } finally {
    server?.process.kill('SIGTERM');
  }
}

const { values } = parseArgs({
  options: { url: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
});
if (values.help === true) console.log(usage);
else {
  try {
    await play(values.url);
  } catch (error) {
    console.error(`The demo stopped: ${error instanceof Error ? error.message : 'unknown error'}`);
    process.exitCode = 1;
  }
}
