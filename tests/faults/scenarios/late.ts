import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, delivered, knock, post, say, sms } from '../client.ts';
import type { Instance } from '../instances.ts';
import { audit, comesTrue, devicesOf, isSending } from '../ledger.ts';
import { startPhones } from '../phone.ts';
import type { Database, Stopped, Wire } from '../storage.ts';
import { type Scenario, type World } from '../world.ts';

/** Milliseconds after which a worker has lost its turn, also by its own clock. */
const LEASE = 1_200;

/** The instance whose statements are held up, and the one that takes over meanwhile. */
interface Stage {
  database: Database;
  wire: Wire;
  worker: Instance;
  successor: Instance;
}

/** All that a late write could change: of a reply its fate is left out, for that is told whenever it is known. */
const pictureOf = async ({ database }: Stage, device: string): Promise<string> => {
  const [messages, [kept]] = await Promise.all([
    database.messages({ devices: [device] }),
    database.devices({ devices: [device] }),
  ]);
  const asked = messages.filter(({ role }) => role === 'user');
  return JSON.stringify([kept?.picture, asked, messages.length]);
};

/** Ends the worker's lease, and once more where the worker has renewed it before the successor came. */
async function takeOver({ database, successor }: Stage, device: string): Promise<void> {
  const taken = successor.untilWaiting(1).then(() => true);
  do {
    await database.lapse([device]);
    await knock(successor.url);
    // the successor looks twice a second at most
  } while (!(await Promise.race([taken, sleep(600, false)])));
}

/** A worker's statement that is held up until somebody else has the turn. Says whether it changed anything. */
type Late = (stage: Stage) => Promise<boolean>;

/** A statement of the deployment's own worker: a message is worked on until `name` is on its way. */
const ofWorker =
  (name: string, text: string, goOn: boolean): Late =>
  async (stage) => {
    const { database, wire, worker, successor } = stage;
    const id = `wamid.${randomUUID()}`;
    const person = `1${Math.floor(Math.random() * 1e10)}`;
    const stopping = wire.stop(name, 'held');
    const looks = wire.answered('baton_recover');
    await sms(worker.url, { id, from: person, body: text });
    if (goOn) {
      await worker.untilWaiting(1);
      worker.letGo();
    }
    const stopped = await stopping;
    const [device = ''] = await devicesOf(database, [id]);
    // the worker's own look for what others let fall must be over, or it might take the turn again itself
    await comesTrue(() => wire.answered('baton_recover') > looks);
    await sms(successor.url, { from: person, body: 'wait' });
    await takeOver(stage, device);
    const changed = await changes(stage, device, name, stopped);
    worker.letGo();
    successor.letGo();
    return changed;
  };

/** A call of a worker elsewhere, who has lost the turn by the time it arrives. */
const ofCaller =
  (name: string, method: string, more: object = {}): Late =>
  async (stage) => {
    const { database, wire, worker, successor } = stage;
    const device = randomUUID();
    const message = { message_id: randomUUID(), content: 'hello' };
    const turn = (url: string, verb: string, body: object) =>
      call(url, verb, '/api/turn', { device, body });
    const tokenOf = ({ json }: { json: Record<string, unknown> }) =>
      (json['turn'] as { token: string }).token;
    const token = tokenOf(await turn(worker.url, 'POST', message));
    const stopping = wire.stop(name, 'held');
    const late = turn(worker.url, method, { token, ...more });
    const stopped = await stopping;
    await database.lapse([device]);
    const newer = tokenOf(await turn(successor.url, 'POST', {}));
    const changed = await changes(stage, device, name, stopped);
    const again = await turn(worker.url, method, { token, ...more });
    const answers = [(await late).status, again.status];
    const own = await turn(successor.url, 'PUT', { token: newer, replies: [{ content: 'mine' }] });
    return changed || answers.some((status) => status !== 409) || own.status !== 200;
  };

async function changes(stage: Stage, device: string, name: string, stopped: Stopped) {
  const { wire } = stage;
  const before = await pictureOf(stage, device);
  const answered = wire.answered(name);
  stopped.release();
  await comesTrue(() => wire.answered(name) > answered);
  return (await pictureOf(stage, device)) !== before;
}

const operations: readonly Late[] = [
  ofWorker('baton_commit', 'wait', true),
  ofWorker('baton_settle', 'wait', true),
  ofWorker('baton_extend', 'wait', false),
  ofWorker('baton_fail', 'throw, then wait', false),
  ofCaller('baton_commit', 'PUT', {
    replies: [{ content: 'late' }],
    state: { late: true },
    agent: 'late',
  }),
  ofCaller('baton_extend', 'PATCH'),
  ofCaller('baton_give_back', 'DELETE'),
];

/** Stops a whole instance while it answers many people, and wakes it when others have done its work. */
async function pauseAll(world: World, database: Database, people: number): Promise<number> {
  const sleeper = await world.instance({ database, obeys: ['wait'] });
  const awake = await world.instance({ database });
  const devices = Array.from({ length: people }, () => randomUUID());
  const calls = devices.map((device, i) => say(sleeper.url, device, `late ${i}`, 'wait'));
  await sleeper.untilWaiting(people);
  sleeper.pause();
  await database.lapse(devices);
  await comesTrue(async () => {
    await knock(awake.url);
    const { statuses } = await audit(database);
    return (statuses['waiting'] ?? 0) === 0;
  }, 30);
  sleeper.letGo();
  sleeper.wake();
  await Promise.all(calls);
  await comesTrue(() => sleeper.logged('turn', { outcome: 'turn_lost' }) === people);
  return sleeper.logged('turn', { outcome: 'turn_lost' });
}

/** Stops an instance between two replies, and wakes it when another has sent the second. Gives how often that came. */
async function pauseSending(world: World, rounds: number): Promise<number> {
  const database = await world.database();
  const phones = await world.own(startPhones());
  const options = { database, phonesUrl: phones.url, obeys: ['twice' as const] };
  const sleeper = await world.instance(options);
  const awake = await world.instance(options);
  let surplus = 0;
  for (let round = 0; round < rounds; round++) {
    const [id, person] = [`wamid.${randomUUID()}`, `1555000${1_000 + round}`];
    const shown = () => phones.shown.filter(({ to }) => to === person);
    const stopping = phones.stop('shown');
    await sms(sleeper.url, { id, from: person, body: 'twice' });
    const answer = await stopping;
    sleeper.pause();
    answer(); // read when it wakes
    const devices = await devicesOf(database, [id]);
    await sleep(LEASE);
    await knock(awake.url);
    const [first] = shown();
    if (first !== undefined) await post(awake.url, delivered(first));
    await comesTrue(async () => {
      await database.comeDue(devices);
      await knock(awake.url);
      return !(await isSending(database, devices));
    });
    const told = sleeper.logged('settle_too_late');
    sleeper.wake();
    await comesTrue(() => sleeper.logged('settle_too_late') > told);
    surplus += Math.abs(shown().length - 2);
  }
  return surplus;
}

export const late: Scenario = {
  name: 'late',
  about: 'statements and whole instances held up until somebody else has the turn',
  async run(world) {
    const database = await world.database();
    const phones = await world.own(startPhones());
    const wire = await world.own(database.wire());
    const worker = await world.instance({
      database: wire,
      phonesUrl: phones.url,
      env: { TURN_LEASE: '2', MAX_ATTEMPTS: '100' },
      obeys: ['wait', 'throw'],
    });
    // a lease that it need not renew while it is looked at
    const successor = await world.instance({
      database,
      phonesUrl: phones.url,
      env: { TURN_LEASE: '60', MAX_ATTEMPTS: '100' },
      obeys: ['wait'],
    });
    const stage = { database, wire, worker, successor };
    const rounds = world.size(2, 22);
    let changed = 0;
    for (let round = 0; round < rounds; round++) {
      for (const operation of operations) changed += Number(await operation(stage));
      world.progress(round + 1, rounds);
    }
    const asleep = await world.database();
    const people = world.size(10, 60);
    const refused = await pauseAll(world, asleep, people);
    const { astray, twice, miscounted } = await audit(asleep);
    const pauses = world.size(2, 10);
    return [
      {
        what: 'late writes accepted: commit, settle, extend, fail, give back',
        n: rounds * operations.length,
        found: changed,
        atMost: 0,
      },
      {
        what: 'late writes accepted of workers that slept past their lease',
        n: refused,
        found: astray + twice + miscounted + people - refused,
        atMost: 0,
      },
      {
        what: 'replies sent over the successor by workers that slept while sending',
        n: pauses,
        found: await pauseSending(world, pauses),
        atMost: 0,
      },
    ];
  },
};
