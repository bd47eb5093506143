import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Heard, isSuccess, knock, say } from '../client.ts';
import { audit, comesTrue, isQuiet, unanswered } from '../ledger.ts';
import { type PostgresDatabase, reach } from '../postgres/backend.ts';
import { newDevice, writing } from '../routes.ts';
import type { Scenario, World } from '../world.ts';

const CONNECTIONS = 4;

/** A role that may have few connections, for instances alone. Gives its URL. */
async function limitedRole(world: World, { sql, url }: PostgresDatabase): Promise<string> {
  const name = `few_${randomBytes(6).toString('hex')}`;
  await sql(`CREATE ROLE ${name} LOGIN PASSWORD '${name}' CONNECTION LIMIT ${CONNECTIONS}`);
  await world.own({
    close: async () => {
      await sql(`DROP OWNED BY ${name}`);
      await sql(`DROP ROLE ${name}`);
    },
  });
  await sql(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${name}`);
  await sql(`GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${name}`);
  const limited = new URL(url);
  limited.username = name;
  limited.password = name;
  return limited.href;
}

/** Takes every connection that is to be had; gives the way to let go of them. */
async function takeAll(url: string): Promise<() => Promise<void>> {
  const clients: pg.Client[] = [];
  await comesTrue(async () => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    try {
      await client.connect();
      clients.push(client);
    } catch {
      await sleep(50); // an instance has some yet, which it closes when idle
    }
    return clients.length === CONNECTIONS;
  }, 20);
  return async () => void (await Promise.all(clients.map((client) => client.end())));
}

export const exhausted: Scenario = {
  name: 'exhausted',
  about: 'the database has no connections left, and then too few for the load',
  only: { over: 'postgres', because: 'Upstash is spoken to over HTTP, and keeps no connections' },
  async run(world) {
    const database = await world.postgres();
    const url = await limitedRole(world, database);
    const instance = await world.instance({ database: reach(url), env: { TURN_LEASE: '30' } });
    const free = await takeAll(url);
    const heard: Heard[] = [];
    for (let i = 0; i < world.size(2, 10); i++) {
      const calls = writing.map((route) => route.call(instance.url, newDevice(), '1'));
      heard.push(...(await Promise.all(calls)));
    }
    const since = performance.now();
    await free();
    await comesTrue(async () => isSuccess(await knock(instance.url)));
    const firstSuccess = performance.now() - since;

    // many at once over few connections: refused or answered, never half
    const ids: string[] = [];
    const devices: string[] = [];
    const talk = async () => {
      const [device, id] = [randomUUID(), randomUUID()];
      ids.push(id);
      devices.push(device);
      while (!isSuccess(await say(instance.url, device, id, 'hello')));
    };
    await Promise.all(Array.from({ length: world.size(60, 600) }, talk));
    // what a worker could not write for want of a connection waits for the end of its lease, and for somebody's call
    await comesTrue(async () => {
      if (await isQuiet(database, 1)) return true;
      await database.lapse(devices);
      await knock(instance.url);
      return false;
    }, 60);
    const { astray, twice, miscounted } = await audit(database);
    const wrong = (await unanswered(database, ids)) + astray + twice + miscounted;
    return [
      {
        what: 'false 2xx, no connection to be had',
        n: heard.length,
        found: heard.filter(isSuccess).length,
        atMost: 0,
      },
      {
        what: 'connections back to first success',
        n: 1,
        found: firstSuccess,
        atMost: 1_000,
        unit: 'ms',
      },
      {
        what: 'lost or answered twice over too few connections',
        n: ids.length,
        found: wrong,
        atMost: 0,
      },
    ];
  },
};
