import { afterAll, beforeAll, describe, it } from 'vitest';
import { COMMANDS, playRound, SEED, SHORTENING } from './rounds.ts';
import { type Movable, openMovablePostgres } from './sides.ts';

describe('PostgreSQL and the model', () => {
  let postgres: Movable;
  beforeAll(async () => {
    postgres = await openMovablePostgres();
  });
  afterAll(() => postgres.close());

  it(
    `do the same in ${COMMANDS} random commands, with MODEL_SEED=${SEED}`,
    { timeout: SHORTENING * 2_000 + COMMANDS * 50 },
    async () => {
      for (let played = 0, seed = SEED; played < COMMANDS; seed++) {
        played += await playRound(postgres, seed);
        if (COMMANDS > 50_000) console.log(`${played} of ${COMMANDS} commands`);
      }
    },
  );
});
