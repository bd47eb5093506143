import { setTimeout as sleep } from 'node:timers/promises';
import { startNeonBridge } from '../../support/neon-bridge.ts';
import { type Heard, isSuccess, knock } from '../client.ts';
import type { Instance } from '../instances.ts';
import { comesTrue, lapse } from '../ledger.ts';
import { type Losing, startLossyHttp } from '../lossy-http.ts';
import { startPhones } from '../phone.ts';
import { newDevice, type Route, surplusOf, writing } from '../routes.ts';
import { type Database, type Figure, type Scenario, type World } from '../world.ts';
import { startWire } from '../wire.ts';

/** An instance whose line to the database can lose answers, and one with a sound line. */
interface Stage {
  database: Database;
  losing: Losing;
  instance: Instance;
  sound: Instance;
}

/** The caller has its answer: done, or refused because an earlier try did it. */
const isAnswered = ({ alreadyDone = [409, 412] }: Route, heard: Heard): boolean =>
  isSuccess(heard) || alreadyDone.includes(heard.status);

/** Loses the answer to one of a call's statements, once or twice, while the caller repeats the call. */
async function lose(world: World, route: Route, stage: Stage): Promise<number> {
  const { database, losing, instance, sound } = stage;
  const device = newDevice();
  const prepared = (await route.prepare?.(sound.url, device, database)) ?? '';
  // the deployment repeats a statement by itself once; two lost answers reach the caller
  losing.lose(
    world.random.int(route.statements),
    route.once === true ? 1 : 1 + world.random.int(2),
  );
  let answered = false;
  for (let tries = 0; tries < 5 && !answered; tries++)
    answered = isAnswered(route, await route.call(instance.url, device, prepared));
  await comesTrue(async () => {
    const rows = await database.sql<{ device: string }>(
      `SELECT device_id AS device FROM chat_messages WHERE lane = 'builtin' AND status IN ('waiting', 'sending')`,
    );
    if (rows.length === 0) return true;
    // a worker that is there needs its time; one that never learnt of its turn has left it to the lease
    await sleep(50);
    await lapse(
      database,
      rows.map((row) => row.device),
    );
    await knock(sound.url);
    return false;
  });
  losing.lose(0, 0);
  return (answered ? 0 : 1) + (await surplusOf(database, route, device, prepared));
}

export const answers: Scenario = {
  name: 'answers',
  about:
    'the line is cut after a statement was done, for every route that writes, over both drivers',
  async run(world) {
    const phones = await world.own(startPhones());
    const database = await world.database();
    const wire = await world.own(startWire(database.url));
    const bridge = await world.own(startNeonBridge());
    const lossy = await world.own(startLossyHttp(bridge.endpoint));
    const shared = { phonesUrl: phones.url, env: { RESEND_AFTER: '600', TURN_LEASE: '30' } };
    const sound = await world.instance({ ...shared, databaseUrl: database.url });
    const overPg = await world.instance({ ...shared, databaseUrl: wire.url });
    const overHttp = await world.instance({
      ...shared,
      databaseUrl: database.url,
      env: { ...shared.env, DATABASE_DRIVER: 'neon-http', FAULTS_NEON_ENDPOINT: lossy.endpoint },
    });
    const lines = [
      { database, sound, losing: wire, instance: overPg },
      { database, sound, losing: lossy, instance: overHttp },
    ];
    const each = world.size(2, 25);
    const figures: Figure[] = [];
    for (const route of writing) {
      const before = wire.lost() + lossy.lost();
      let found = 0;
      for (let i = 0; i < each; i++)
        for (const line of lines) found += await lose(world, route, line);
      const n = wire.lost() + lossy.lost() - before;
      figures.push({ what: `done twice, answer lost: ${route.name}`, n, found, atMost: 0 });
      world.progress(figures.length, writing.length);
    }
    return figures;
  },
};
