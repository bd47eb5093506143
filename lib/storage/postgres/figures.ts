import { sql } from 'drizzle-orm';
import * as z from 'zod/mini';
import type { Storage } from '../storage.ts';
import { type Database, only } from './database.ts';
import { run } from './failures.ts';
import { time } from './rows.ts';

const spread = {
  count: z.number(),
  median: z.nullable(z.number()),
  p95: z.nullable(z.number()),
};
const sessions = z.pipe(
  z.object({
    active: z.number(),
    complete: z.number(),
    expired: z.number(),
    average_bytes: z.number(),
    largest_bytes: z.number(),
    over_1mb: z.number(),
  }),
  z.transform(({ active, complete, expired, ...row }) => ({
    active,
    complete,
    expired,
    averageBytes: row.average_bytes,
    largestBytes: row.largest_bytes,
    over1mb: row.over_1mb,
  })),
);
const counter = z.pipe(
  z.object({ name: z.string(), label: z.string(), value: z.number(), updated_at: time }),
  z.transform(({ name, label, value, updated_at: updatedAt }) => ({
    name,
    label,
    value,
    updatedAt,
  })),
);
const metricsRow = z.object({
  locks: z.array(z.object({ agent: z.string(), active: z.number() })),
  lockAge: z.object({ ...spread, sum: z.number() }),
  sessions,
  replies: z.record(z.string(), z.number()),
  counters: z.array(counter),
});
const byAgent = z.array(z.object({ ...spread, agent: z.string() }));
const statsRow = z.object({
  locks: byAgent,
  holdings: byAgent,
  handOvers: z.array(z.object({ from: z.string(), to: z.string(), count: z.number() })),
  sessions,
  days: z.array(z.object({ day: z.string(), user: z.number(), assistant: z.number() })),
  answers: z.object(spread),
  errors: z.array(
    z.object({ role: z.enum(['user', 'assistant']), error: z.string(), count: z.number() }),
  ),
  counters: z.array(counter),
});

const now = sql<string>`now`;
const waiting = sql<number>`waiting`;
const failed = sql<number>`failed`;

function prepare(db: Database) {
  return {
    count: db
      .select({ done: sql<unknown>`done` })
      .from(sql`baton_count_v1(${sql.placeholder('counts')}::jsonb) as done`)
      .prepare('baton_count'),
    metrics: db
      .select({
        now,
        waiting,
        failed,
        locks: sql<unknown>`coalesce(locks, '[]')`,
        lockAge: sql<unknown>`lock_age`,
        sessions: sql<unknown>`sessions`,
        replies: sql<unknown>`coalesce(replies, '{}')`,
        counters: sql<unknown>`coalesce(counters, '[]')`,
      })
      .from(sql`baton_metrics_v1()`)
      .prepare('baton_metrics'),
    stats: db
      .select({
        now,
        since: sql<string>`since`,
        waiting,
        failed,
        created: sql<number>`sessions_created`,
        locks: sql<unknown>`coalesce(locks, '[]')`,
        holdings: sql<unknown>`coalesce(holdings, '[]')`,
        handOvers: sql<unknown>`coalesce(hand_overs, '[]')`,
        sessions: sql<unknown>`sessions`,
        days: sql<unknown>`coalesce(days, '[]')`,
        answers: sql<unknown>`answers`,
        errors: sql<unknown>`coalesce(errors, '[]')`,
        counters: sql<unknown>`coalesce(counters, '[]')`,
      })
      .from(sql`baton_stats_v1(${sql.placeholder('since')}::timestamptz)`)
      .prepare('baton_stats'),
  };
}

/** Figures of everything. */
export function figureOperations(
  db: Database,
): Pick<Storage, 'addCounts' | 'readMetrics' | 'readStats'> {
  const statements = prepare(db);
  return {
    async addCounts(counts) {
      // not repeated: what may have been added is not added again
      await run(() => statements.count.execute({ counts: JSON.stringify(counts) }), false);
    },
    async readMetrics() {
      const row = only(await run(() => statements.metrics.execute({}), true));
      return {
        now: new Date(row.now),
        waiting: row.waiting,
        failed: row.failed,
        ...metricsRow.parse(row),
      };
    },
    async readStats(since) {
      const values = { since: since?.toISOString() ?? null };
      const row = only(await run(() => statements.stats.execute(values), true));
      const parsed = statsRow.parse(row);
      return {
        now: new Date(row.now),
        since: new Date(row.since),
        waiting: row.waiting,
        failed: row.failed,
        ...parsed,
        sessions: { ...parsed.sessions, created: row.created },
      };
    },
  };
}
