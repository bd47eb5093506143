import { isDeepStrictEqual } from 'node:util';
import { countedIn } from './ledger.ts';
import type { Belongings, Books } from './storage.ts';

/**
 * How often a call was done more than once, by what there is of its device; fewer than 0: not at all.
 *
 * @param prepared what the route's `prepare` gave
 */
export type Surplus = (books: Books, device: string, prepared: string) => Promise<number>;

export const sumOf =
  (...parts: Surplus[]): Surplus =>
  async (...of) =>
    (await Promise.all(parts.map((part) => part(...of)))).reduce((sum, n) => sum + n, 0);

/** Messages, or replies, of the device beside as many. */
export const rowsBeside =
  (expected: number, role: string): Surplus =>
  async (books, device) =>
    (await books.messages({ devices: [device] })).filter((row) => row.role === role).length -
    expected;

export const repliesBesideOne: Surplus = async (...of) =>
  Math.abs(await rowsBeside(1, 'assistant')(...of));

/** What the agent counted beside one message. */
const countedBesideOne: Surplus = async (books, device) => {
  const [kept] = await books.devices({ devices: [device] });
  return kept?.state == null ? 0 : countedIn(kept.state) - 1;
};

/** Messages and replies beside the first, and what the agent counted beside it. */
export const oneOfEach = sumOf(rowsBeside(1, 'user'), repliesBesideOne, countedBesideOne);

export const stateIsNot =
  (wanted: object | null): Surplus =>
  async (books, device) =>
    (await books.devices({ devices: [device] })).filter(
      ({ state }) => !isDeepStrictEqual(state, wanted),
    ).length;

export const belongings =
  (count: (of: Belongings, prepared: string) => number): Surplus =>
  async (books, device, prepared) =>
    count(await books.belongingsOf(device), prepared);

export const eventsBeside = (expected: number) =>
  belongings(({ lockEvents }) => Math.abs(lockEvents - expected));

/** Of the session that was prepared. */
export const sessionsThat = (fits: (session: Belongings['sessions'][number]) => boolean) =>
  belongings(
    ({ sessions }, prepared) =>
      sessions.filter((session) => session.id === prepared && fits(session)).length,
  );
