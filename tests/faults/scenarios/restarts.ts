import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { listenLocally } from '../../../dev/listen.ts';
import { startPostgres } from '../../../dev/postgres.ts';
import { type DevServer, startDev } from '../../support/dev-server.ts';
import { isSuccess, say } from '../client.ts';
import { leaks } from '../leaks.ts';
import { audit, unanswered } from '../ledger.ts';
import { postgresBooks } from '../postgres/books.ts';
import type { Scenario, World } from '../world.ts';

const DEVICES = 6;
/** Milliseconds of work between two kills. */
const LIFE = 2_000;

/** What everybody says. */
const HELLO = 'hello, it is me again';

/** Kills the server, and its database too if wanted, which else shuts down when it sees that its parent is gone. */
async function kill(server: DevServer, dataDir: string, alsoDatabase: boolean): Promise<void> {
  const [pid] = (await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n');
  if (alsoDatabase) process.kill(Number(pid), 'SIGKILL');
  await server.kill();
  leaks.printed(server.log);
}

interface Said {
  id: string;
  device: string;
  /** What the first answer said. */
  answer: string;
}

/** Says one thing after the other, each until it is answered. */
async function talk(
  url: string,
  device: string,
  isOver: () => boolean,
  said: Said[],
): Promise<void> {
  while (!isOver()) {
    const id = randomUUID();
    for (let answer: string | null = null; answer === null && !isOver();) {
      const heard = await say(url, device, id, HELLO);
      if (heard.status === 200) answer = JSON.stringify(heard.json['replies']);
      else await sleep(50);
      if (answer !== null) said.push({ id, device, answer });
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenLocally(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** The books of the folder, opened once everything has ended. */
async function auditFolder(dataDir: string, said: readonly Said[]) {
  const server = await startPostgres({ dataDir });
  const pool = new pg.Pool({ connectionString: server.url, max: 1 });
  pool.on('error', () => {}); // the server may end a connection that is about to be closed
  try {
    const books = postgresBooks(
      async (text, values = []) => (await pool.query(text, [...values])).rows,
    );
    const { twice } = await audit(books);
    return {
      twice,
      lost: await unanswered(
        books,
        said.map(({ id }) => id),
      ),
    };
  } finally {
    await pool.end();
    await server.stop();
  }
}

async function playOut(world: World, dataDir: string) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // on a folder of its own
  const settings = { PORT: String(port), DATA_DIR: dataDir, TURN_LEASE: '1' };
  const start = () => startDev(settings, 'ignore');
  let server = await start();
  await world.own({ close: () => server.kill() });
  const said: Said[] = [];
  let over = false;
  const devices = Array.from({ length: DEVICES }, () => randomUUID());
  const talks = devices.map((device) => talk(url, device, () => over, said));
  const kills = world.size(3, 25);
  for (let i = 0; i < kills; i++) {
    await sleep(LIFE);
    await kill(server, dataDir, world.random.chance(0.5));
    server = await start();
    world.progress(i + 1, kills);
  }
  await sleep(LIFE);
  over = true;
  await Promise.all(talks);
  let changed = 0;
  for (const { id, device, answer } of said) {
    const again = await say(url, device, id, HELLO);
    if (!isSuccess(again) || JSON.stringify(again.json['replies']) !== answer) changed++;
  }
  const exit = once(server.process, 'close');
  server.process.kill('SIGTERM');
  await exit;
  leaks.printed(server.log);
  return { said, changed };
}

export const restarts: Scenario = {
  name: 'restarts',
  about: 'npm run dev, its database included, killed every few seconds under load',
  only: { over: 'postgres', because: 'npm run dev brings a PostgreSQL of its own, and no Redis' },
  async run(world) {
    const dataDir = await mkdtemp(join(tmpdir(), 'baton-restarts-'));
    await world.own({ close: () => rm(dataDir, { recursive: true, force: true }) });
    const { said, changed } = await playOut(world, dataDir);
    const { twice, lost } = await auditFolder(dataDir, said);
    const n = said.length;
    return [
      {
        what: 'answered messages lost, server and database killed under load',
        n,
        found: lost,
        atMost: 0,
      },
      {
        what: 'answered twice, or asked again answered otherwise',
        n,
        found: twice + changed,
        atMost: 0,
      },
    ];
  },
};
