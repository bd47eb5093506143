import { setTimeout as sleep } from 'node:timers/promises';
import { type Heard, isSuccess, knock } from '../client.ts';
import { comesTrue } from '../ledger.ts';
import { newDevice, reading, type Route, writing } from '../routes.ts';
import type { Reach } from '../storage.ts';
import type { Figure, Scenario, World } from '../world.ts';

/** A way for the database to be away. */
interface Outage {
  name: string;
  /** Milliseconds it lasts. */
  lasts: number;
  /** What an instance connects to. */
  database: Reach;
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
}

/** Seconds until every route must have been heard of within an outage. */
const PATIENCE = 30;
const routes = [...writing, ...reading];

/** What was heard, by route. */
type HeardOf = Map<Route, Heard[]>;

/** Calls every route over and over, until told that it is over. */
async function callAll(url: string, isOver: () => boolean, heard: HeardOf): Promise<void> {
  const one = async (route: Route) => {
    const answers: Heard[] = [];
    heard.set(route, answers);
    // a token that nobody has given: refused with 409 where the database can say so
    while (!isOver()) answers.push(await route.call(url, newDevice(), '1'));
  };
  await Promise.all(routes.map(one));
}

interface Course {
  calls: number;
  false2xx: number;
  firstSuccess: number;
}

async function play(world: World, outage: Outage): Promise<Course> {
  const { url } = await world.instance({ database: outage.database });
  if (!(await comesTrue(async () => isSuccess(await knock(url)))))
    throw new Error('it never served');
  const heard: HeardOf = new Map();
  let over = false;
  const calls = callAll(url, () => over, heard);
  await outage.begin();
  const away = performance.now();
  await sleep(outage.lasts);
  const isHeardOf = (route: Route) => heard.get(route)?.some(({ from }) => from > away) === true;
  if (!(await comesTrue(() => routes.every(isHeardOf), PATIENCE)))
    throw new Error('a route was not heard of while the database was away');
  const back = performance.now();
  // it is the deployment that is timed, and not what so many callers do to the machine
  over = true;
  await outage.end();
  const since = performance.now();
  const firstSuccess = await untilSuccess(url, since);
  await calls;
  // health tells how the database is, and answers 503 as the others do
  const during = [...heard.values()].flat().filter(({ from, to }) => from > away && to < back);
  return { calls: during.length, false2xx: during.filter(isSuccess).length, firstSuccess };
}

/** Milliseconds until the first of many calls succeeds; a new one is begun every 10 ms. */
function untilSuccess(url: string, since: number): Promise<number> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (performance.now() - since > 20_000) done(Infinity);
      // oxlint-disable-next-line promise/no-callback-in-promise -- many calls, and the first success ends the wait
      void knock(url).then((heard) => isSuccess(heard) && done(heard.to - since));
    }, 10);
    const done = (ms: number) => {
      clearInterval(timer);
      resolve(ms);
    };
  });
}

export const outages: Scenario = {
  name: 'outages',
  about: 'the database is cut off, swallows everything, or is killed, under calls of every route',
  async run(world) {
    const database = await world.database();
    const line = await world.own(database.breakable());
    const server = await world.killable();
    const { cut, hang, resume } = line;
    const { kill, start } = server;
    const lasts = world.size(2_000, 5_000);
    const all: Outage[] = [
      { name: 'connections refused', database: line, lasts, begin: cut, end: resume },
      // the patience of a call that was begun before must end within it
      { name: 'black hole', database: line, lasts: lasts + 5_000, begin: hang, end: resume },
      { name: `kill -9 of ${server.name}`, database: server, lasts, begin: kill, end: start },
    ];
    const times = world.size(1, 5);
    const figures: Figure[] = [];
    for (const outage of all) {
      const courses: Course[] = [];
      for (let i = 0; i < times; i++) courses.push(await play(world, outage));
      const sum = (of: (course: Course) => number) =>
        courses.reduce((total, each) => total + of(each), 0);
      figures.push(
        {
          what: `false 2xx, database away: ${outage.name}`,
          n: sum(({ calls }) => calls),
          found: sum(({ false2xx }) => false2xx),
          atMost: 0,
        },
        {
          what: `database back to first success: ${outage.name}`,
          n: times,
          found: Math.max(...courses.map(({ firstSuccess }) => firstSuccess)),
          atMost: 1_000,
          unit: 'ms',
        },
      );
      world.progress(figures.length / 2, all.length);
    }
    return figures;
  },
};
