import type { Counter, Spread, Stats } from './storage/storage.ts';

const spread = ({ count, median, p95 }: Spread) => ({
  count,
  median_seconds: median,
  p95_seconds: p95,
});

/** The figures as callers see them. */
export function statsRecord(stats: Stats) {
  const { sessions, counters } = stats;
  const cleanUps = counters.filter(({ name }) => name === 'cleanups');
  return {
    since: stats.since,
    until: stats.now,
    active_locks: stats.locks.map((one) => ({ agent: one.agent, ...spread(one) })),
    holdings: stats.holdings.map((one) => ({ agent: one.agent, ...spread(one) })),
    hand_overs: stats.handOvers,
    sessions: {
      created: sessions.created,
      active: sessions.active,
      complete: sessions.complete,
      expired: sessions.expired,
      average_bytes: sessions.averageBytes,
      largest_bytes: sessions.largestBytes,
      over_1mb: sessions.over1mb,
    },
    messages: { waiting: stats.waiting, failed: stats.failed, per_day: stats.days },
    answers: spread(stats.answers),
    errors: stats.errors,
    turns: totals(counters, 'turns'),
    clean_up: {
      last_run: cleanUps.map(({ updatedAt }) => updatedAt).toSorted((a, b) => +b - +a)[0] ?? null,
      runs: cleanUps.reduce((sum, { value }) => sum + value, 0),
      removed: totals(counters, 'expired'),
    },
  };
}

/** Since the deployment began. */
const totals = (counters: Counter[], of: Counter['name']): Record<string, number> =>
  Object.fromEntries(
    counters.filter(({ name }) => name === of).map(({ label, value }) => [label, value]),
  );
