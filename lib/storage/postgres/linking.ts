import { sql } from 'drizzle-orm';
import * as z from 'zod/mini';
import type { Storage } from '../storage.ts';
import { type Database, device, only } from './database.ts';
import { run } from './failures.ts';

const outcomes = z.enum(['linked', 'own', 'invalid', 'too_many']);

/** Devices that share one conversation. */
export function linkingOperations(
  db: Database,
): Pick<Storage, 'offerLink' | 'redeemLink' | 'unlink'> {
  const seconds = sql`${sql.placeholder('seconds')}::int`;
  const offer = db
    .select({
      now: sql<string>`now`,
      code: sql<string | null>`code`,
      expiresAt: sql<string | null>`expires_at`,
    })
    .from(
      sql`baton_offer_link_v1(${device}, array(select jsonb_array_elements_text(${sql.placeholder('codes')}::jsonb)), ${seconds})`,
    )
    .prepare('baton_link_offer');
  const redeem = db
    .select({ now: sql<string>`now`, outcome: sql<string>`outcome` })
    .from(
      sql`baton_redeem_link_v1(${device}, ${sql.placeholder('code')}::text, ${sql.placeholder('own')}::int, ${sql.placeholder('all')}::int, ${seconds})`,
    )
    .prepare('baton_link_redeem');
  const unlink = db
    .select({ now: sql<string>`now`, unlinked: sql<number>`unlinked` })
    .from(sql`baton_unlink_v1(${device})`)
    .prepare('baton_unlink');
  return {
    async offerLink(id, codes, good) {
      const values = { device: id, codes: JSON.stringify(codes), seconds: good };
      const { now, code, expiresAt } = only(await run(() => offer.execute(values), true));
      const link =
        code === null || expiresAt === null ? null : { code, expiresAt: new Date(expiresAt) };
      return { now: new Date(now), link };
    },
    async redeemLink(id, code, limits) {
      const row = only(await run(() => redeem.execute({ device: id, code, ...limits }), true));
      return { now: new Date(row.now), outcome: outcomes.parse(row.outcome) };
    },
    async unlink(id) {
      const row = only(await run(() => unlink.execute({ device: id }), true));
      return { now: new Date(row.now), unlinked: row.unlinked };
    },
  };
}
