import { afterAll, beforeAll, expect, it } from 'vitest';
import { findFaketime } from './instances.ts';
import { scenarios } from './scenarios.ts';
import { heading, isKept, NOT_MOVED, row } from './table.ts';
import { play, type Server, startServer } from './world.ts';

// Every fault in its small size, some two minutes on two cores. A project of vitest.config.ts has it run by itself when
// all else is done: it measures how soon something happens.

const seed = Math.floor(Math.random() * 1e9);

let server: Server;
beforeAll(async () => {
  server = await startServer();
  console.log([...(findFaketime() === null ? [NOT_MOVED] : []), heading].join('\n'));
});
afterAll(() => server.close());

it.each(scenarios)(
  '$name: $about',
  async (scenario) => {
    const started = performance.now();
    const figures = await play(scenario, { server, seed, full: false, progress() {} });
    const seconds = (performance.now() - started) / 1_000;
    console.log(figures.map((figure) => row(figure, seconds, seed)).join('\n'));
    const broken = figures.filter((figure) => !isKept(figure));
    expect(broken, `again: npm run test:faults -- --only ${scenario.name} --seed ${seed}`).toEqual(
      [],
    );
  },
  200_000,
);
