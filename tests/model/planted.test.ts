import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tables } from '../../lib/storage/memory/tables.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import { command } from './any-command.ts';
import type { Command } from './commands.ts';
import { Difference, replay } from './replay.ts';
import { type Movable, openMovablePostgres } from './sides.ts';

/** Commands within which a fault must show. */
const ENOUGH = 3_000;

type Plant = (storage: Storage, tables: Tables) => Partial<Storage>;
type Call = (...args: unknown[]) => Promise<unknown>;

/** What goes wrong in the model, and nobody is told. */
const faults: Record<string, Plant> = {
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

/** What is looked at after a command. */
const looks = ['getLock', 'getState'];

/** Answers a call at once and shows what it did from the next one on: only a look right after it sees that. */
const late =
  (name: keyof Storage): Plant =>
  (storage, tables) => {
    let due: Tables | null = null;
    const calls = Object.entries(storage) as [string, Call][];
    const planted = calls.map(([called, call]): [string, Call] => [
      called,
      async (...args) => {
        if (looks.includes(called)) return call(...args);
        if (due !== null) Object.assign(tables, due);
        due = null;
        if (called !== name) return call(...args);
        const before = structuredClone(tables);
        const answer = await call(...args);
        due = { ...tables };
        Object.assign(tables, before);
        return answer;
      },
    ]);
    return Object.fromEntries(planted);
  };

/**
 * Each write but `recover` and `eraseUser`, which their commands call until nothing is left; `extend` and `giveBack`,
 * which change nothing but when a turn may be had again; and `retryFailed`, which has something to do too seldom.
 */
const writes = [
  'setLock',
  'clearLock',
  'putState',
  'patchState',
  'clearState',
  'accept',
  'next',
  'commit',
  'settle',
  'fail',
  'noteStatuses',
  'createSession',
  'patchSession',
  'deleteSession',
  'redeemLink',
  'unlink',
  'eraseDevice',
  'cleanUp',
] as const;

describe('a fault in the model', () => {
  let postgres: Movable;
  beforeAll(async () => {
    postgres = await openMovablePostgres();
  });
  afterAll(() => postgres.close());

  async function expectFound(plant: Plant | undefined): Promise<void> {
    const scripts = fc.array(command, { maxLength: 60, size: 'max' });
    // so that no script ends with what is late: all devices are looked at in the end
    const last: Command = { do: 'list failed', device: null, limit: 1 };
    let played = 0;
    let found: Difference | null = null;
    for (let seed = 1; found === null && played < ENOUGH; seed++) {
      const [script = []] = fc.sample(scripts, { seed, numRuns: 1 });
      try {
        played += await replay(postgres, [...script, last], plant);
      } catch (error) {
        if (!(error instanceof Difference)) throw error;
        found = error;
      }
    }
    expect(found, `within ${played} commands`).not.toBeNull();
  }

  it.each(Object.keys(faults))('%s: is found', (name) => expectFound(faults[name]));

  it.each(writes)('%s, late by a call: is found', (name) => expectFound(late(name)));
});
