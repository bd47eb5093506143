import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Storage } from '../../lib/storage/storage.ts';
import { command } from './any-command.ts';
import { Difference, replay } from './replay.ts';
import { type Movable, openMovablePostgres } from './sides.ts';

/** Commands within which a fault must show. */
const ENOUGH = 3_000;

/** What goes wrong in the model, and nobody is told. */
const faults: Record<string, (storage: Storage) => Partial<Storage>> = {
  'a message of a batch that is lost': ({ accept }) => ({
    accept: (messages, terms) =>
      accept(messages.length > 2 ? messages.slice(0, -1) : messages, terms),
  }),
  'a turn of the other lane': ({ next }) => ({
    next: (devices, terms) => next(devices, { ...terms, lane: 'builtin' }),
  }),
  'a lease that is a millisecond too long': ({ extend }) => ({
    extend: (device, fence, lane, leaseMs) => extend(device, fence, lane, leaseMs + 1),
  }),
  'a turn that was given back and stays taken': ({ giveBack, extend }) => ({
    async giveBack(device, fence, lane) {
      return (await extend(device, fence, lane, 60_000)) !== null || giveBack(device, fence, lane);
    },
  }),
  'a failure that counts as no attempt': ({ fail, giveBack }) => ({
    async fail(device, fence, error) {
      await giveBack(device, fence, 'builtin');
      return fail(device, fence, error);
    },
  }),
  'a reply that was sent and counts as unknown': ({ settle }) => ({
    settle: (device, fence, _, leaseMs) => settle(device, fence, [], leaseMs),
  }),
  'a lock that was cleared and is held': ({ clearLock, getLock }) => ({
    async clearLock(device, guard) {
      const { now } = await getLock(device);
      return guard.kind === 'none' ? { written: true, now } : clearLock(device, guard);
    },
  }),
  'a patch that replaces': ({ putState }) => ({ patchState: putState }),
  'a clean-up that leaves everything': ({ ping }) => ({
    async cleanUp() {
      const { now } = await ping();
      return { now, expiredLocks: 0, expiredSessions: 0, purgedMessages: 0, more: false };
    },
  }),
};

describe('a fault in the model', () => {
  let postgres: Movable;
  beforeAll(async () => {
    postgres = await openMovablePostgres();
  });
  afterAll(() => postgres.close());

  it.each(Object.keys(faults))('%s: is found', async (name) => {
    const scripts = fc.array(command, { maxLength: 60, size: 'max' });
    let played = 0;
    let found: Difference | null = null;
    for (let seed = 1; found === null && played < ENOUGH; seed++) {
      const [script = []] = fc.sample(scripts, { seed, numRuns: 1 });
      try {
        played += await replay(postgres, script, faults[name]);
      } catch (error) {
        if (!(error instanceof Difference)) throw error;
        found = error;
      }
    }
    expect(found, `within ${played} commands`).not.toBeNull();
  });
});
