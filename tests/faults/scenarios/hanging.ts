import { randomUUID } from 'node:crypto';
import { defineAgent } from '../../../lib/agents/agent.ts';
import { createRegistry } from '../../../lib/agents/registry.ts';
import { createApp } from '../../../lib/app.ts';
import { readConfig } from '../../../lib/config.ts';
import { setSink } from '../../../lib/log.ts';
import type { DeviceId } from '../../../lib/storage/storage.ts';
import { receive, workAll } from '../../../lib/turn.ts';
import { call, isSuccess, knock, say } from '../client.ts';
import { leaks } from '../leaks.ts';
import { audit, comesTrue, countHeld, unanswered } from '../ledger.ts';
import type { Reach } from '../storage.ts';
import type { Figure, Scenario, World } from '../world.ts';

const hang = defineAgent({
  key: 'hang',
  description: 'Never comes back',
  matches: () => true,
  answer: () => new Promise<void>(() => {}),
});

/** A function whose agents hang until its time is up; five seconds of it are kept to begin on a turn. */
async function hangToTheEnd({ env }: Reach, devices: readonly string[]): Promise<void> {
  setSink((event) => leaks.logged(event));
  const read = readConfig({ ...env, MAX_ATTEMPTS: '1' });
  if (!read.ok) throw new Error(read.mistakes.join(' '));
  const app = await createApp(read.config, { registry: createRegistry([hang]) });
  const frame = { requestId: randomUUID(), endsAt: performance.now() + 6_000 };
  const messages = devices.map((device) => ({
    sender: { device: device as DeviceId },
    channel: 'web',
    account: device,
    externalId: device,
    content: 'hello',
    metadata: {},
    sentAt: null,
  }));
  const since = performance.now();
  await workAll(app, await receive(app, messages, frame), frame, since);
  await app.close();
}

/** Its instance lives and renews the leases: others are served, and its own messages wait until it is killed. */
async function hangAlive(world: World): Promise<Figure[]> {
  const database = await world.database();
  const stuck = await world.instance({ database, obeys: ['hang'] });
  const other = await world.instance({ database });
  // more than one instance works on at a time for others
  const hung = Array.from({ length: 20 }, () => randomUUID());
  const calls = hung.map((device) => say(stuck.url, device, device, 'hang'));
  await comesTrue(async () => (await countHeld(database, hung)) === hung.length);
  const beside = world.size(20, 200);
  let late = 0;
  for (let i = 0; i < beside; i++) {
    const heard = await say(stuck.url, randomUUID(), randomUUID(), 'hello');
    if (!isSuccess(heard) || heard.to - heard.from > 1_000) late++;
  }
  await stuck.kill();
  await Promise.all(calls);
  await database.lapse(hung);
  const isDone = async () => (await unanswered(database, hung)) === 0;
  await comesTrue(async () => (await knock(other.url), isDone()));
  const { astray, twice } = await audit(database);
  const wrong = (await unanswered(database, hung)) + astray + twice;
  return [
    {
      what: 'not answered within 1 s beside 20 agents that hang',
      n: beside,
      found: late,
      atMost: 0,
    },
    {
      what: 'lost or answered twice, their instance killed',
      n: hung.length,
      found: wrong,
      atMost: 0,
    },
  ];
}

/** Messages that a hanging agent kept until the end of its function are set aside, listed, put back and answered. */
async function hangLong(world: World): Promise<Figure> {
  const database = await world.database();
  const devices = Array.from({ length: 4 }, () => randomUUID());
  await hangToTheEnd(database, devices);
  const { url } = await world.instance({ database });
  const listed = await call(url, 'GET', '/api/turn?failed=true');
  const failed = (listed.json['messages'] as { error: string }[] | undefined) ?? [];
  const named = failed.filter(({ error }) => error === 'TurnEnded').length;
  await call(url, 'POST', '/api/turn?failed=true');
  await comesTrue(async () => (await unanswered(database, devices)) === 0);
  return {
    what: 'hung to the end: not set aside with the reason, or not answered once put back',
    n: devices.length,
    found: devices.length - named + (await unanswered(database, devices)),
    atMost: 0,
  };
}

/** Connections that died without a word: what a caller waits at most. */
async function silence(world: World): Promise<Figure> {
  const database = await world.database();
  const wire = await world.own(database.wire());
  const { url } = await world.instance({ database: wire });
  await Promise.all(Array.from({ length: 20 }, () => knock(url)));
  wire.silence();
  const heard = await Promise.all(Array.from({ length: 20 }, () => knock(url)));
  const again = await knock(url);
  const answered = [...heard, again].every(({ status }) => [200, 503].includes(status));
  const longest = Math.max(...heard.map(({ from, to }) => to - from));
  return {
    what: 'all connections dead without a word: longest wait for an answer',
    n: heard.length,
    found: answered && isSuccess(again) ? longest : Infinity,
    atMost: 6_000,
    unit: 'ms',
  };
}

export const hanging: Scenario = {
  name: 'hanging',
  about: 'agents that never come back, and connections that died without a word',
  async run(world) {
    const [alive, long, silent] = await Promise.all([
      hangAlive(world),
      hangLong(world),
      silence(world),
    ]);
    return [...alive, long, silent];
  },
};
