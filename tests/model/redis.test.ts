import { afterAll, beforeAll, it } from 'vitest';
import { withRedis } from '../support/redis.ts';
import type { Command } from './commands.ts';
import { openMovableRedis } from './redis-side.ts';
import { COMMANDS, playRound, SEED, SHORTENING } from './rounds.ts';
import type { Movable } from './sides.ts';

/** Each is asked of Redis over HTTP, in scripts that take several times as long as a statement. */
const PLAYED = COMMANDS / 4;

/** Everybody's sessions are in no list of Redis's. */
const knows = (command: Command) =>
  command.do !== 'list sessions' || command.user !== null || command.device !== null;

withRedis('Redis and the model', () => {
  let redis: Movable;
  beforeAll(async () => {
    redis = await openMovableRedis();
  });
  afterAll(() => redis.close());

  it(
    `do the same in ${PLAYED} random commands, with MODEL_SEED=${SEED}`,
    { timeout: SHORTENING * 2_000 + COMMANDS * 50 },
    async () => {
      for (let played = 0, seed = SEED; played < PLAYED; seed++) {
        played += await playRound(redis, seed, knows);
        if (PLAYED > 50_000) console.log(`${played} of ${PLAYED} commands`);
      }
    },
  );
});
