import type { Counter, Metrics, SessionFigures, Spread, Stats } from '../storage.ts';
import { isUnsettled, isWaiting } from './messages.ts';
import type { Synchronous } from './operations.ts';
import type { Device, Memory, Row, Tables } from './tables.ts';

const DAY = 86_400_000;
const MEBIBYTE = 1_048_576;
/** Replies, the newest, from which the time to answer is taken. */
const ANSWERS = 10_000;

/** Figures of everything. */
export function figureOperations({
  tables,
  now: clock,
}: Memory): Pick<Synchronous, 'addCounts' | 'readMetrics' | 'readStats'> {
  return {
    addCounts(counts) {
      const now = clock();
      for (const { name, label, by } of counts) {
        const key = JSON.stringify([name, label]);
        const value = (tables.counters.get(key)?.value ?? 0) + by;
        tables.counters.set(key, { name, label, value, updatedAt: new Date(now) });
      }
    },
    readMetrics: () => metricsOf(tables, clock()),
    readStats(since) {
      const now = clock();
      return statsOf(tables, since?.getTime() ?? now - 7 * DAY, now);
    },
  };
}

function metricsOf(tables: Tables, now: number): Metrics {
  const rows = allRows(tables);
  const live = liveHoldings(tables, now);
  const replies = rows.filter(
    (row) =>
      row.role === 'assistant' &&
      row.status !== 'erased' &&
      (isUnsettled(row) || row.createdAt > now - DAY),
  );
  const ages = live.map(({ seconds }) => seconds);
  return {
    now: new Date(now),
    locks: groups(live, ({ agent }) => agent).map(([agent, of]) => ({ agent, active: of.length })),
    lockAge: { ...spreadOf(ages), sum: ages.reduce((sum, age) => sum + age, 0) },
    sessions: sessionFigures(tables, now),
    waiting: rows.filter(isWaiting).length,
    failed: rows.filter(isSetAside).length,
    replies: Object.fromEntries(
      groups(replies, ({ status }) => status).map(([status, of]) => [status, of.length]),
    ),
    counters: countersOf(tables),
  };
}

function statsOf(tables: Tables, since: number, now: number): Stats {
  const rows = allRows(tables);
  const said = rows.filter(({ createdAt, status }) => createdAt >= since && status !== 'erased');
  const ended = tables.events.filter(({ endedAt }) => endedAt >= since);
  const byAgent = (holdings: { agent: string; seconds: number }[]) =>
    groups(holdings, ({ agent }) => agent).map(([agent, of]) => ({
      agent,
      ...spreadOf(of.map(({ seconds }) => seconds)),
    }));
  const created = [...tables.sessions.values()].filter(({ createdAt }) => createdAt >= since);
  return {
    now: new Date(now),
    since: new Date(since),
    locks: byAgent(liveHoldings(tables, now)),
    holdings: byAgent(
      ended.map(({ agent, startedAt, endedAt }) => ({
        agent,
        seconds: (endedAt - startedAt) / 1_000,
      })),
    ),
    handOvers: handOversOf(tables, ended),
    sessions: { ...sessionFigures(tables, now), created: created.length },
    waiting: rows.filter(isWaiting).length,
    failed: rows.filter(isSetAside).length,
    days: groups(said, ({ createdAt }) => new Date(createdAt).toISOString().slice(0, 10)).map(
      ([day, of]) => {
        const user = of.filter(({ role }) => role === 'user').length;
        return { day, user, assistant: of.length - user };
      },
    ),
    answers: spreadOf(answerTimes(said)),
    errors: groups(
      said.filter(({ status }) => status === 'failed'),
      // the people's messages first
      ({ role, error }) => JSON.stringify([role === 'user' ? 0 : 1, error ?? 'unknown']),
    ).map(([, [first, ...others]]) => ({
      role: first.role,
      error: first.error ?? 'unknown',
      count: others.length + 1,
    })),
    counters: countersOf(tables),
  };
}

const allRows = ({ devices }: Tables): Row[] =>
  [...devices.values()].flatMap(({ messages }) => messages);

const isSetAside = ({ status, role }: Row) => status === 'failed' && role === 'user';

const liveHoldings = ({ devices }: Tables, now: number) =>
  [...devices.values()].flatMap(({ holding }: Device) =>
    holding === null || holding.expiresAt <= now
      ? []
      : [{ agent: holding.agent, seconds: (now - holding.lockedAt) / 1_000 }],
  );

function sessionFigures({ sessions, devices }: Tables, now: number): SessionFigures {
  const all = [...sessions.values()];
  const alive = all.filter(({ expiresAt }) => expiresAt > now);
  const complete = alive.filter((session) => session.complete).length;
  const sizes = all.map(({ id, device }) =>
    (devices.get(device)?.messages ?? [])
      .filter(({ session, seq }) => session === id && seq !== null)
      .reduce((sum, { content }) => sum + Buffer.byteLength(content), 0),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return {
    active: alive.length - complete,
    complete,
    expired: all.length - alive.length,
    averageBytes: Math.round(bytes / Math.max(1, sizes.length)),
    largestBytes: Math.max(0, ...sizes),
    over1mb: sizes.filter((size) => size > MEBIBYTE).length,
  };
}

/** Who came after: of the device's next holding, or the one that lasts. */
function handOversOf({ events, devices }: Tables, ended: Tables['events']): Stats['handOvers'] {
  const pairs = ended.flatMap((event) => {
    if (event.reason !== 'handed_over') return [];
    const next = events
      .slice(events.indexOf(event) + 1)
      .find(({ device }) => device === event.device);
    const to = next?.agent ?? devices.get(event.device)?.holding?.agent;
    return to === undefined ? [] : [{ from: event.agent, to }];
  });
  return groups(pairs, ({ from, to }) => JSON.stringify([from, to])).map(
    ([, [first, ...others]]) => ({ ...first, count: others.length + 1 }),
  );
}

/** Seconds from the arrival of the first message that a turn answers. */
function answerTimes(said: Row[]): number[] {
  const replies = said
    .filter(({ role, answers }) => role === 'assistant' && answers.length > 0)
    .toSorted((a, b) => b.createdAt - a.createdAt)
    .slice(0, ANSWERS);
  return groups(replies, ({ fence }) => fence ?? '').map(([, of]) => {
    const committed = Math.min(...of.map(({ createdAt }) => createdAt));
    const asked = Math.min(...of.flatMap(({ answers }) => answers.map((row) => row.createdAt)));
    return (committed - asked) / 1_000;
  });
}

const countersOf = ({ counters }: Tables): Counter[] =>
  [...counters].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, counter]) => counter);

/** In the order of their keys. */
function groups<Item>(
  items: Item[],
  keyOf: (item: Item) => string,
): [key: string, items: [Item, ...Item[]]][] {
  return [...Map.groupBy(items, keyOf)]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, of]) => [key, of as [Item, ...Item[]]]);
}

/** The nearest rank: one of the values themselves. */
function spreadOf(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? null;
  return { count: sorted.length, median: at(0.5), p95: at(0.95) };
}
