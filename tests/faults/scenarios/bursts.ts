import { randomUUID } from 'node:crypto';
import { bodyOf } from '../../support/whatsapp.ts';
import { isSuccess, post } from '../client.ts';
import type { Instance } from '../instances.ts';
import { audit, isQuiet, unanswered } from '../ledger.ts';
import { startPhones } from '../phone.ts';
import { inParallel, type Scenario } from '../world.ts';

/** Delivers until it is taken, as Meta does. */
async function insist(url: string, body: string): Promise<void> {
  while (!isSuccess(await post(url, body)));
}

export const bursts: Scenario = {
  name: 'bursts',
  about:
    'people who write many messages at the same moment, each a call of its own, and nobody calls afterwards',
  async run(world) {
    const database = await world.database();
    const phones = await world.own(startPhones());
    const options = {
      database,
      phonesUrl: phones.url,
      env: { TURN_LEASE: '30' },
    };
    const instances: Instance[] = [await world.instance(options), await world.instance(options)];
    const people = world.size(10, 50);
    const ids: string[] = [];
    const threads = Array.from({ length: people }, (_, person) => async () => {
      const calls = Array.from({ length: 20 }, (_, i) => {
        const id = `wamid.${randomUUID()}`;
        ids.push(id);
        const body = bodyOf([{ id, from: `1555${1_000 + person}`, body: `m${i}` }]);
        return insist(instances[i % 2]?.url ?? '', body);
      });
      await Promise.all(calls);
    });
    await inParallel(10, threads, world.progress);
    await isQuiet(database);
    const { astray, twice, miscounted } = await audit(database);
    const said = phones.shown.flatMap(({ text }) => text.split('|')).length;
    return [
      {
        what: `stranded, ${people} threads × 20 fast messages`,
        n: ids.length,
        found: await unanswered(database, ids),
        atMost: 0,
      },
      {
        what: 'answered twice, out of place, miscounted, or not once on the phone',
        n: ids.length,
        found: astray + twice + miscounted + Math.abs(said - ids.length),
        atMost: 0,
      },
    ];
  },
};
