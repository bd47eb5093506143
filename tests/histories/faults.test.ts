import { expect, it } from 'vitest';
import { createDatabase } from '../support/postgres.ts';
import { faults } from './faults/faults.ts';
import { hunt } from './faults/hunt.ts';
import { plant } from './faults/plant.ts';

/**
 * A known defect in a database of its own: what breaks its promise must show. On a quiet machine it does within seconds;
 * the time here is for one on which the workers hardly come to make a call, and is over as soon as it shows.
 */
it.each(Object.entries(faults))('finds %s', async (_, fault) => {
  const database = await createDatabase();
  const { url } = database;
  try {
    const { violations } = await hunt({ url, fault, seed: 1, workers: 24, forMs: 240_000 });
    expect(violations.map(({ rule }) => rule)).toContain(fault.breaks);
  } finally {
    await database.drop();
  }
});

it('plants no fault whose place is gone: a text that is not there, or there twice, is refused', async () => {
  const edit = { in: 'baton_take_v1', find: 'a text that is nowhere', put: '' };
  await expect(plant('postgres://127.0.0.1:1', [edit])).rejects.toThrow('0 times, not once');
  await expect(plant('postgres://127.0.0.1:1', [{ ...edit, find: 'p_device' }])).rejects.toThrow(
    /has this text \d+ times, not once/,
  );
});
