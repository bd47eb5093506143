import { isSuccess, sms } from '../client.ts';
import type { Instance } from '../instances.ts';
import { isQuiet } from '../ledger.ts';
import { startPhones } from '../phone.ts';
import { inParallel, type Scenario } from '../world.ts';

const PEOPLE = 10;

/** Neighbours of which the later one is not the greater. */
const inversions = (numbers: readonly number[]): number =>
  numbers.filter((number, i) => i > 0 && number <= (numbers[i - 1] ?? 0)).length;

export const order: Scenario = {
  name: 'order',
  about:
    'each message sent once the one before it was acknowledged, every time to another instance',
  async run(world) {
    const database = await world.database();
    const phones = await world.own(startPhones());
    const options = { database, phonesUrl: phones.url, env: { TURN_LEASE: '30' } };
    const instances: Instance[] = [];
    for (let i = 0; i < 3; i++) instances.push(await world.instance(options));
    const each = world.size(31, 1_001);
    const people = Array.from({ length: PEOPLE }, (_, i) => `1555${1_000 + i}`);
    let sent = 0;
    await inParallel(
      PEOPLE,
      people.map((person) => async () => {
        for (let i = 1; i <= each; i++) {
          const message = { id: `wamid.${person}.${i}`, from: person, body: String(i) };
          const url = instances[world.random.int(instances.length)]?.url ?? '';
          while (!isSuccess(await sms(url, message)));
          world.progress(++sent, PEOPLE * each);
        }
      }),
    );
    await isQuiet(database, 30);
    const asked = (await database.messages()).filter(({ role }) => role === 'user');
    const histories = [...Map.groupBy(asked, ({ device }) => device).values()].map((messages) =>
      messages.map(({ content }) => Number(content)),
    );
    const screens = people.map((person) =>
      phones.shown
        .filter(({ to }) => to === person)
        .flatMap(({ text }) => text.split('|').map(Number)),
    );
    const count = (lists: readonly number[][]) =>
      lists.reduce((sum, list) => sum + inversions(list), 0);
    const pairs = PEOPLE * (each - 1);
    const missing = PEOPLE * each - screens.flat().length;
    return [
      {
        what: 'order inversions in the history, acknowledged before sent',
        n: pairs,
        found: count(histories),
        atMost: 0,
      },
      {
        what: 'order inversions or gaps on the phone',
        n: pairs,
        found: count(screens) + Math.abs(missing),
        atMost: 0,
      },
    ];
  },
};
