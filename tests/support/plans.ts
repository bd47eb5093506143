import type pg from 'pg';

/** What a plan's nodes say of themselves, their rows by run: `rows=12.00 loops=3`, `Rows Removed by Filter: 5`. */
const node = /actual rows=([\d.]+) loops=(\d+)|Rows Removed by [^:]+: (\d+)/g;

/** The most rows that one node of a plan has looked at, in all its runs. */
export function mostRows(plan: string): number {
  let most = 0;
  let loops = 1;
  for (const [, rows, runs, removed] of plan.matchAll(node)) {
    if (runs !== undefined) loops = Number(runs);
    most = Math.max(most, Number(rows ?? removed) * loops);
  }
  return most;
}

export interface PlanWatch {
  /** The plans of what was run since the last time, the statements inside of functions included. */
  take(): string[];
}

/** From now on, of each statement on this connection, how the database ran it. */
export async function watchPlans(client: pg.Client): Promise<PlanWatch> {
  let plans: string[] = [];
  client.on('notice', ({ message }) => void plans.push(message ?? ''));
  await client.query(
    `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
     SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off; SET client_min_messages = log`,
  );
  return {
    take() {
      const taken = plans;
      plans = [];
      return taken;
    },
  };
}
