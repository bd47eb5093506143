import { sql } from 'drizzle-orm';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
import type { StorageLimits } from '../limits.ts';
import type { Guard, TurnTerms } from '../storage.ts';

/** Drizzle over whichever driver. */
export type Database = PgDatabase<PgQueryResultHKT>;

/** Its type's number in every PostgreSQL: what a driver's parsers are known by. */
export const JSONB = 3802;

/**
 * A subselect, so that the clock is read once per statement and not once per mention; and so that a plan which the tables have
 * outgrown serves once at most.
 */
export const clock = sql`(select baton_now_v1() as now from baton_replan_v1()) clock`;
export const clockNow = sql<string>`clock.now`;

/** Parameters that many statements take. */
export const device = sql`${sql.placeholder('device')}::uuid`;
/**
 * Whether several devices lead to the conversation of one, or a code lets another in. A minute longer than the code is
 * good: whoever came with it in time has joined by then.
 */
export const shared = sql<boolean>`(
  exists (select from channel_identities i where (i.channel, i.account, i.kind, i.value) = ('device', '', 'device', ${device}::text))
  or exists (select from channel_identities i where i.device_id = ${device} and i.kind = 'device')
  or exists (select from link_codes l where l.device_id = ${device} and l.expires_at > ${clockNow} - interval '1 min'))`;
/** The device whose conversation that one shares. A subselect, so that it is looked up once, whatever the plan. */
export const linked = sql`(select baton_linked_v1(${device}))`;
/** The same in a statement that does not begin with the clock. */
export const linkedAnew = sql`(select baton_linked_v1(${device}) from baton_replan_v1())`;
export const fence = sql`${sql.placeholder('fence')}::bigint`;
export const lane = sql`${sql.placeholder('lane')}::text`;
export const versions = sql`${sql.placeholder('versions')}::bigint[]`;
/** On which terms a turn is given, in the order in which every function that may give one takes them. */
export const turnTerms = sql`${sql.placeholder('leaseMs')}::int, ${sql.placeholder('history')}::int, ${sql.placeholder('maxAttempts')}::int, ${sql.placeholder('resendMs')}::int`;

/** The values of `turnTerms`, but for the lease. */
export const termsOf = ({ history, maxAttempts, resendAfterMs }: StorageLimits) => ({
  history,
  maxAttempts,
  resendMs: resendAfterMs,
});

/** What of a caller's terms goes to the database as it is. */
export const callOf = ({ requestId, leaseMs, maxTurns }: Omit<TurnTerms, 'lane'>) => ({
  requestId,
  leaseMs,
  maxTurns,
});

/** An SQL array of ids or versions. */
export const array = (items: readonly string[]) => `{${items.join(',')}}`;

/** null where the guard asks for nothing that is there. */
export const versionsOf = (guard: Guard) =>
  guard.kind === 'present' ? array(guard.versions) : null;

/** The one row that a statement returns whatever it decides. */
export function only<Row>(rows: Row[]): Row {
  const row = rows[0];
  if (row === undefined) throw new Error('a statement returned no row');
  return row;
}
