import { setTimeout as sleep } from 'node:timers/promises';
import { type Heard, isSuccess, knock } from '../client.ts';
import type { Instance } from '../instances.ts';
import { comesTrue } from '../ledger.ts';
import { startPhones } from '../phone.ts';
import { newDevice, type Route, writing } from '../routes.ts';
import type { Database, Losing } from '../storage.ts';
import { type Figure, type Scenario, type World } from '../world.ts';

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
    const open = await database.messages({ statuses: ['waiting', 'sending'] });
    const own = open.filter(({ lane }) => lane === 'builtin');
    if (own.length === 0) return true;
    // a worker that is there needs its time; one that never learnt of its turn has left it to the lease
    await sleep(50);
    await database.lapse(own.map((message) => message.device));
    await knock(sound.url);
    return false;
  });
  losing.lose(0, 0);
  return (answered ? 0 : 1) + Math.abs((await route.surplus?.(database, device, prepared)) ?? 0);
}

export const answers: Scenario = {
  name: 'answers',
  about:
    'the line is cut after a statement was done, for every route that writes, over every driver',
  async run(world) {
    const phones = await world.own(startPhones());
    const database = await world.database();
    const shared = { phonesUrl: phones.url, env: { RESEND_AFTER: '600', TURN_LEASE: '30' } };
    const sound = await world.instance({ ...shared, database });
    const stages: Stage[] = [];
    for (const losing of await database.losing()) {
      await world.own(losing);
      const instance = await world.instance({ ...shared, database: losing });
      stages.push({ database, losing, instance, sound });
    }
    const lost = () => stages.reduce((sum, { losing }) => sum + losing.lost(), 0);
    const each = world.size(2, 25);
    const figures: Figure[] = [];
    for (const route of writing) {
      const before = lost();
      let found = 0;
      for (let i = 0; i < each; i++)
        for (const stage of stages) found += await lose(world, route, stage);
      const n = lost() - before;
      figures.push({ what: `done twice, answer lost: ${route.name}`, n, found, atMost: 0 });
      world.progress(figures.length, writing.length);
    }
    return figures;
  },
};
