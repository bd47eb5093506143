import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { play } from './play.ts';
import { reportOf, tableOf } from './report.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

it('keeps every promise for 24 workers that stall, fall and are killed at random', async () => {
  const seed = 1 + Math.floor(Math.random() * 2 ** 32);
  console.log(`npm run histories -- --seed ${seed}`);
  const length = { forMs: 20_000, roundMs: 5_000 };
  const result = await play({ url: database.url, seed, workers: 24, ...length });
  const { counts, violations } = result;
  console.log(tableOf(counts));
  expect(violations, reportOf(result)).toEqual([]);
  expect(counts.undecided).toBe(0);
  // a run in which nothing happened would prove nothing
  for (const what of ['kills', 'broken statements', 'answered', 'lock operations'] as const)
    expect(counts[what], what).toBeGreaterThan(20);
});
