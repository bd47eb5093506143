import { setTimeout as sleep } from 'node:timers/promises';
import type { Books, StoredMessage } from './storage.ts';

/** What a database says of what was asked and answered. */
export interface Ledger {
  /** Messages that people sent, by what became of them. */
  statuses: Record<string, number>;
  /** Answered messages without any reply, and messages that have one and do not count as answered. */
  astray: number;
  /** Messages with more than one reply, and such as are stored once more. */
  twice: number;
  /** Devices whose order has a gap, or whose agent has counted another number of messages than are answered. */
  miscounted: number;
}

const isAsked = ({ role }: StoredMessage) => role === 'user';
const isAnswered = ({ status }: StoredMessage) => status === 'answered';

/** Reads the books; every turn of the tests' agent writes one reply and counts its messages. */
export async function audit(books: Books): Promise<Ledger> {
  const [messages, devices] = await Promise.all([books.messages(), books.devices()]);
  const replies = new Map<string, number>();
  for (const id of messages.flatMap(({ answers }) => answers))
    replies.set(id, (replies.get(id) ?? 0) + 1);
  const repliesTo = ({ id }: StoredMessage) => replies.get(id) ?? 0;
  const asked = messages.filter(isAsked);
  const byStatus = Map.groupBy(asked, ({ status }) => status);
  const byDevice = Map.groupBy(messages, ({ device }) => device);
  return {
    statuses: Object.fromEntries([...byStatus].map(([status, those]) => [status, those.length])),
    astray: asked.filter((one) => isAnswered(one) !== repliesTo(one) > 0).length,
    twice: asked.filter((one) => repliesTo(one) > 1).length + surplusIn(asked),
    miscounted: devices.filter(({ device, lastSeq, state }) => {
      const own = byDevice.get(device) ?? [];
      const places = own.filter(({ seq }) => seq !== null).length;
      const answered = own.filter(
        (one) => isAsked(one) && isAnswered(one) && one.lane === 'builtin',
      ).length;
      return lastSeq !== places || countedIn(state) !== answered;
    }).length,
  };
}

/** How many have been stored before, by the names that their senders gave them. */
function surplusIn(messages: readonly StoredMessage[]): number {
  const named = messages.flatMap(({ device, messageId }) =>
    messageId === null ? [] : [`${device} ${messageId}`],
  );
  return named.length - new Set(named).size;
}

/** What the tests' agent has counted. @param state of a device */
export const countedIn = (state: unknown): number =>
  (state as { clerk?: { counter?: number } } | null)?.clerk?.counter ?? 0;

/** Of these messages, how many are not there or not answered. */
export async function unanswered(books: Books, ids: readonly string[]): Promise<number> {
  const messages = await books.messages({ messageIds: ids, statuses: ['answered'] });
  const answered = new Set(messages.filter(isAsked).map(({ messageId }) => messageId));
  return ids.filter((id) => !answered.has(id)).length;
}

/** The devices of these messages. */
export async function devicesOf(books: Books, ids: readonly string[]): Promise<string[]> {
  const messages = await books.messages({ messageIds: ids });
  return [...new Set(messages.filter(isAsked).map(({ device }) => device))];
}

/** Not out yet, as far as anybody knows. */
const ON_THEIR_WAY = ['pending', 'sending', 'unknown'];

/** Whether replies of these devices have yet to arrive. */
export async function isSending(books: Books, devices: readonly string[]): Promise<boolean> {
  return (await books.messages({ devices, statuses: ON_THEIR_WAY })).length > 0;
}

/** Of these devices, how many have a turn that was given and not ended, its time over or not. */
export async function countHeld(books: Books, devices: readonly string[]): Promise<number> {
  return (await books.devices({ devices })).filter(({ isHeld }) => isHeld).length;
}

/** Asks again until it is so; false once it has taken too long. */
export async function comesTrue(
  isTrue: () => boolean | Promise<boolean>,
  seconds = 10,
): Promise<boolean> {
  const deadline = performance.now() + seconds * 1_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) return false;
    await sleep(5);
  }
  return true;
}

/** Nothing waits, nothing is on its way. Looks only: nobody is called. */
export function isQuiet(books: Books, seconds = 10): Promise<boolean> {
  const statuses = ['waiting', ...ON_THEIR_WAY];
  return comesTrue(async () => (await books.messages({ statuses })).length === 0, seconds);
}
