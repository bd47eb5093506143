import type { DeviceId } from '../storage.ts';
import { empty, KEPT_KEYS, remove } from './erasing.ts';
import { endHolding } from './locks.ts';
import { isUnsettled, isWaiting } from './messages.ts';
import type { Synchronous } from './operations.ts';
import { type Memory, messagesIn, type Row, type Tables, isLinkName, linkedTo } from './tables.ts';

const DAY = 86_400_000;

/** One batch of each kind at a time. */
export function upkeepOperations(memory: Memory): Pick<Synchronous, 'cleanUp' | 'ping'> {
  const { tables, limits, now: clock } = memory;
  return {
    cleanUp(batch) {
      const now = clock();
      const expiredLocks = endLapsedLocks(tables, batch, now);
      const expiredSessions = endLapsedSessions(tables, batch, now);
      const forgotten = forgetKeys(tables, batch, now);
      const { purged, others } =
        limits.retentionDays > 0 ? purge(memory, batch, now) : { purged: 0, others: 0 };
      const purgedMessages = forgotten + purged;
      const most = Math.max(expiredLocks, expiredSessions, purgedMessages, others);
      // last of all: of whom nothing is left is known once everything else is gone
      const names =
        limits.retentionDays > 0 && most < batch ? cleanIdentities(memory, batch, now) : 0;
      return {
        now: new Date(now),
        expiredLocks,
        expiredSessions,
        purgedMessages,
        more: Math.max(most, names) >= batch,
      };
    },
    ping: () => ({ now: new Date(clock()) }),
  };
}

function endLapsedLocks(tables: Tables, batch: number, now: number): number {
  const lapsed = oldest(tables.devices.values(), ({ holding }) => holding?.expiresAt, now, batch);
  // the version stays: nobody moved this lock, it had ended before
  for (const device of lapsed) endHolding(tables, device, 'expired', now);
  return lapsed.length;
}

function endLapsedSessions({ devices }: Tables, batch: number, now: number): number {
  const ended = oldest(devices.values(), ({ session }) => session?.endsAt, now, batch);
  for (const device of ended) device.session = null;
  return ended.length;
}

/** What was emptied, and is old enough by now to be forgotten. */
function forgetKeys(tables: Tables, batch: number, now: number): number {
  const erased = [...tables.keys.values()].filter(({ status }) => status === 'erased');
  const old = oldest(erased, ({ createdAt }) => createdAt, now - KEPT_KEYS, batch);
  for (const row of old) remove(tables, row);
  return old.length;
}

/** Messages, sessions and holdings past retention; never of a session that lives. */
function purge(
  { tables, limits }: Memory,
  batch: number,
  now: number,
): { purged: number; others: number } {
  const old = now - limits.retentionDays * DAY;
  const ended = [...tables.sessions.values()].filter(
    (session) => session.expiresAt <= now && canShrink(messagesIn(tables, session)),
  );
  const over = oldest(ended, ({ lastActivity }) => lastActivity, old, batch);
  const settled = over
    .flatMap((session) => messagesIn(tables, session))
    .filter((row) => !isWaiting(row) && !isUnsettled(row));
  const isDoomed = ({ key, createdAt }: Row) => key === null || createdAt <= now - KEPT_KEYS;
  const doomed = settled.filter(isDoomed).slice(0, batch);
  for (const row of doomed) remove(tables, row);
  const young = settled.filter((row) => !isDoomed(row) && row.status !== 'erased').slice(0, batch);
  for (const row of young) empty(row);
  for (const session of over) {
    const left = messagesIn(tables, session).filter(({ status }) => status !== 'erased');
    if (left.length === 0) tables.sessions.delete(session.id);
  }
  const past = new Set(oldest(tables.events, ({ endedAt }) => endedAt, old, batch));
  tables.events = tables.events.filter((event) => !past.has(event));
  return { purged: doomed.length + young.length, others: Math.max(over.length, past.size) };
}

/** Whether something of a session can go: not where only unanswered or unsent messages are left. */
function canShrink(messages: readonly Row[]): boolean {
  const left = messages.filter(({ status }) => status !== 'erased');
  return left.length === 0 || !left.every((row) => isWaiting(row) || isUnsettled(row));
}

/** Those whose time has come, the first of them first: what was cleaned of one kind decides over the next. */
function oldest<T>(
  list: Iterable<T>,
  at: (one: T) => number | undefined,
  until: number,
  batch: number,
): T[] {
  return [...list]
    .filter((one) => (at(one) ?? Infinity) <= until)
    .toSorted((a, b) => (at(a) ?? 0) - (at(b) ?? 0))
    .slice(0, batch);
}

/** Identities of whose device nothing is kept but its fences; each is looked at once in a retention. */
function cleanIdentities({ tables, limits }: Memory, batch: number, now: number): number {
  const { identities, checked } = tables;
  const old = now - limits.retentionDays * DAY;
  const looked = oldest(identities, ([name]) => checked.get(name), old, batch);
  for (const [name, device] of looked) {
    // a link between devices is always needed, and so is who is linked by it
    const isLinked = isLinkName(name) || linkedTo(tables, device) !== device;
    if (!isLinked && isBare(tables, device)) {
      identities.delete(name);
      checked.delete(name);
    } else checked.set(name, now);
  }
  return looked.length;
}

function isBare({ devices, sessions, events }: Tables, id: DeviceId): boolean {
  const device = devices.get(id);
  return (
    device !== undefined &&
    device.state === null &&
    device.holding === null &&
    device.session === null &&
    device.messages.length === 0 &&
    ![...sessions.values()].some((session) => session.device === id) &&
    !events.some((event) => event.device === id)
  );
}
