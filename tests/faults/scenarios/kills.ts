import { randomUUID } from 'node:crypto';
import { bodyOf } from '../../support/whatsapp.ts';
import { delivered, isSuccess, knock, post } from '../client.ts';
import type { Instance } from '../instances.ts';
import { audit, comesTrue, countHeld, devicesOf, isSending, unanswered } from '../ledger.ts';
import { type Phones, type SendingStop, type Shown, startPhones } from '../phone.ts';
import type { Database, Wire } from '../storage.ts';
import { inParallel, type Scenario, type World } from '../world.ts';

interface Victim {
  instance: Instance;
  wire: Wire;
  phones: Phones;
}

interface Point {
  name: string;
  /** Ends once the victim stands still there. */
  reached(victim: Victim): Promise<unknown>;
  /** What the person writes. */
  text?: string;
}

const sending = (at: SendingStop): Point => ({
  name: `sending, ${at}`,
  reached: ({ phones }) => phones.stop(at),
});

/** The named steps of a turn, in their order. */
const points: readonly [Point, ...Point[]][] = [
  [{ name: 'after accept', reached: ({ wire }) => wire.stop('baton_accept', 'done') }],
  [{ name: 'agent running', reached: ({ instance }) => instance.untilWaiting(1), text: 'wait' }],
  [{ name: 'before commit', reached: ({ wire }) => wire.stop('baton_commit', 'held') }],
  [{ name: 'commit sent', reached: ({ wire }) => wire.stop('baton_commit', 'sent') }],
  [{ name: 'after commit', reached: ({ wire }) => wire.stop('baton_commit', 'done') }],
  [sending('heard'), sending('shown')],
  [{ name: 'sent, not settled', reached: ({ wire }) => wire.stop('baton_settle', 'held') }],
];

/** Who goes on where a victim fell. */
interface Stage {
  world: World;
  database: Database;
  survivor: Instance;
  shown: Shown[];
}

interface Fallen {
  id: string;
  person: string;
}

interface Plan {
  point: Point;
  /** The message is delivered once more. */
  again: boolean;
  /** Redelivery, and Meta's word of what it took, come before the lease is over; else after. */
  early: boolean;
}

/**
 * Seconds after which a message counts as lost. On a machine that does much else the survivor's own try may fail as well, and
 * then rests for 4 seconds, and for 16: that is late, which the scenario `takeover` measures.
 */
const PATIENCE = 60;

/** Kills an instance in the middle of a turn, and lets another one come across what it left. */
async function killAt({ point, again, early }: Plan, stage: Stage): Promise<Fallen> {
  const { world, database, survivor, shown } = stage;
  const id = `wamid.${randomUUID()}`;
  const person = `1${String(world.random.int(1e10)).padStart(10, '0')}`;
  const body = bodyOf([{ id, from: person, body: point.text ?? 'hello' }]);
  await fall(point, body, stage);

  const redeliver = async () => again && (await post(survivor.url, body));
  const report = async (): Promise<boolean> => {
    const reply = shown.findLast(({ to }) => to === person);
    return reply !== undefined && isSuccess(await post(survivor.url, delivered(reply)));
  };
  if (early) await Promise.all([redeliver(), report()]);
  const devices = await devicesOf(database, [id]);
  await database.lapse(devices);
  await (again && !early ? redeliver() : knock(survivor.url));
  // until the survivor has looked; what was on its way is not sent again before Meta has had its time to tell
  await comesTrue(async () => (await countHeld(database, devices)) === 0, 1);
  if (!early) await report();
  await comesTrue(async () => {
    if ((await unanswered(database, [id])) === 0 && !(await isSending(database, devices)))
      return true;
    // what has not reached the phone is sent again without the wait
    if (!(await report())) await database.comeDue(devices);
    await knock(survivor.url);
    return false;
  }, PATIENCE);
  return { id, person };
}

async function fall(point: Point, body: string, { world, database, shown }: Stage): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const wire = opened.adopt(await database.wire(), (w) => w.close());
  const phones = opened.adopt(await startPhones(shown), (p) => p.close());
  const instance = await world.instance({
    database: wire,
    phonesUrl: phones.url,
    obeys: ['wait'],
  });
  const reached = point.reached({ instance, wire, phones });
  const call = post(instance.url, body);
  await reached;
  await instance.kill();
  await call;
}

async function killEverywhere(again: boolean, rounds: number, stage: Stage) {
  const plans = Array.from({ length: rounds }, (_, round) =>
    points.map((kinds): Plan => ({
      point: kinds[(round + 1) % kinds.length] ?? kinds[0],
      again,
      early: (round % 2 === 0) === again,
    })),
  ).flat();
  return inParallel(
    3,
    plans.map((plan) => () => killAt(plan, stage)),
    (done, of) => stage.world.progress(done + (again ? of : 0), of * 2),
  );
}

/** Settled replies are on the phone once; `of` one that never arrived there are none. */
const timesShown = (fallen: readonly Fallen[], shown: readonly Shown[]): number[] =>
  fallen.map(({ person }) => shown.filter(({ to }) => to === person).length);

export const kills: Scenario = {
  name: 'kills',
  about: 'kill -9 at each of seven points of a turn, with and without redelivery',
  async run(world) {
    const database = await world.database();
    const shown: Shown[] = [];
    const phones = await world.own(startPhones(shown));
    const survivor = await world.instance({ database, phonesUrl: phones.url });
    const stage = { world, database, survivor, shown };
    const rounds = world.size(1, 30);
    const silent = await killEverywhere(false, rounds, stage);
    const repeated = await killEverywhere(true, rounds, stage);
    const all = [...silent, ...repeated];
    const lost = async (fallen: Fallen[]) =>
      (await unanswered(
        database,
        fallen.map(({ id }) => id),
      )) + timesShown(fallen, shown).filter((times) => times === 0).length;
    const { astray, twice, miscounted } = await audit(database);
    return [
      {
        what: 'accepted messages lost, killed, without redelivery',
        n: silent.length,
        found: await lost(silent),
        atMost: 0,
      },
      {
        what: 'accepted messages lost, killed, with redelivery',
        n: repeated.length,
        found: await lost(repeated),
        atMost: 0,
      },
      {
        what: 'answered twice in the history after a kill',
        n: all.length,
        found: astray + twice + miscounted,
        atMost: 0,
      },
      {
        what: 'replies twice on the phone, Meta telling what it took',
        n: all.length,
        found: timesShown(all, shown).filter((shownTimes) => shownTimes > 1).length,
        atMost: 0,
      },
    ];
  },
};
