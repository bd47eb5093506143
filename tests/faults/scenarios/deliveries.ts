import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { bodyOf } from '../../support/whatsapp.ts';
import { type Heard, post, say } from '../client.ts';
import type { Instance } from '../instances.ts';
import { audit, isQuiet, unanswered } from '../ledger.ts';
import { startPhones } from '../phone.ts';
import type { Scenario, World } from '../world.ts';

const PER_ROUND = 25;
/** Longer than the lease of one second. */
const FREEZE = 1_300;

interface Message {
  id: string;
  deliver(url: string): Promise<Heard>;
}

/** A message of one of a few people, over WhatsApp or from a web page. */
function newMessage({ random }: World, devices: [string, ...string[]]): Message {
  const id = `wamid.${randomUUID()}`;
  if (random.chance(0.5)) {
    const device = random.pick(devices);
    return { id, deliver: (url) => say(url, device, id, 'hello') };
  }
  const body = bodyOf([{ id, from: `1555000${random.int(10)}`, body: 'hello' }]);
  return { id, deliver: (url) => post(url, body) };
}

/** Delivers each message, and again up to four times, while one of the instances stands still past every lease. */
async function playRound(
  world: World,
  instances: readonly Instance[],
  messages: readonly Message[],
) {
  const { random } = world;
  const [frozen, ...others] = instances.toSorted(() => random.int(3) - 1);
  const deliver = async (message: Message, to: readonly Instance[], delay: number) => {
    await sleep(delay);
    await message.deliver(to[random.int(to.length)]?.url ?? '');
  };
  const calls = messages.map((message) => deliver(message, instances, random.int(20)));
  await sleep(random.int(30));
  frozen?.pause();
  for (const message of messages) {
    const copies = random.int(5);
    for (let i = 0; i < copies; i++) calls.push(deliver(message, others, random.int(FREEZE * 1.5)));
  }
  await sleep(FREEZE);
  frozen?.wake();
  await Promise.all(calls);
}

export const deliveries: Scenario = {
  name: 'deliveries',
  about:
    'each message delivered one to five times, to instances of which one freezes again and again',
  async run(world) {
    const database = await world.database();
    const phones = await world.own(startPhones());
    const options = {
      database,
      phonesUrl: phones.url,
      env: { MAX_ATTEMPTS: '100', RESEND_AFTER: '60' },
    };
    const instances: Instance[] = [];
    for (let i = 0; i < 3; i++) instances.push(await world.instance(options));
    const devices: [string, ...string[]] = [
      randomUUID(),
      ...Array.from({ length: 9 }, () => randomUUID()),
    ];
    const rounds = world.size(4, 20);
    const messages: Message[] = [];
    for (let round = 0; round < rounds; round++) {
      const batch = Array.from({ length: PER_ROUND }, () => newMessage(world, devices));
      messages.push(...batch);
      await playRound(world, instances, batch);
      world.progress(round + 1, rounds);
    }
    // once more behind every lease
    await database.lapse(devices);
    await Promise.all(
      messages.map(({ deliver }) => deliver(world.random.pick([instances[0]?.url ?? '']))),
    );
    const ids = messages.map(({ id }) => id);
    await isQuiet(database);
    const { astray, twice, miscounted } = await audit(database);
    return [
      {
        what: 'answered twice in the history, 1 to 5 deliveries and more',
        n: ids.length,
        found: twice,
        atMost: 0,
      },
      {
        what: 'lost, out of place or counted twice among them',
        n: ids.length,
        found: (await unanswered(database, ids)) + astray + miscounted,
        atMost: 0,
      },
    ];
  },
};
