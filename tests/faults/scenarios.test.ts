import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withRedis } from '../support/redis.ts';
import { findFaketime } from './instances.ts';
import { leftOut, scenariosOver } from './scenarios.ts';
import type { StorageName } from './storage.ts';
import { heading, isKept, NOT_MOVED, row } from './table.ts';
import { play, type Server, startServer } from './world.ts';

// Every fault in its small size, some three minutes on two cores. A project of vitest.config.ts has it run by itself
// when all else is done: it measures how soon something happens.

const seed = Math.floor(Math.random() * 1e9);

function playAll(storage: StorageName): void {
  let server: Server;
  beforeAll(async () => {
    server = await startServer(storage);
    const notMoved = findFaketime() === null ? [NOT_MOVED] : [];
    console.log([...notMoved, ...leftOut(storage), heading].join('\n'));
  });
  afterAll(() => server.close());

  it.each(scenariosOver(storage))(
    '$name: $about',
    async (scenario) => {
      const started = performance.now();
      const figures = await play(scenario, { server, seed, full: false, progress() {} });
      const seconds = (performance.now() - started) / 1_000;
      console.log(figures.map((figure) => row(figure, seconds, seed)).join('\n'));
      const broken = figures.filter((figure) => !isKept(figure));
      const again = `npm run test:faults -- --storage ${storage} --only ${scenario.name} --seed ${seed}`;
      expect(broken, `again: ${again}`).toEqual([]);
    },
    200_000,
  );
}

describe('over PostgreSQL', () => {
  playAll('postgres');
});

withRedis('over Redis', () => {
  playAll('redis');
});
