import { sql } from 'drizzle-orm';
import type { Receipt, Storage } from '../storage.ts';
import { type Database, device, only } from './database.ts';
import { run } from './failures.ts';

/** Everything of a device, or of a user. */
export function erasingOperations(db: Database): Pick<Storage, 'eraseDevice' | 'eraseUser'> {
  const erase = db
    .select({
      now: sql<string>`now`,
      devices: sql<number>`devices`,
      shared: sql<number>`shared`,
      sessions: sql<number>`sessions`,
      messages: sql<number>`messages`,
      holdings: sql<number>`holdings`,
      identities: sql<number>`identities`,
      more: sql<boolean>`more`,
    })
    .from(
      sql`baton_erase_v1(${device}, ${sql.placeholder('user')}::text, ${sql.placeholder('limit')}::int)`,
    )
    .prepare('baton_erase');
  const call = async (values: { device: string | null; user: string | null; limit: number }) => {
    const { now, more, ...receipt } = only(await run(() => erase.execute(values), true));
    return { now: new Date(now), receipt: receipt satisfies Receipt, more };
  };
  return {
    async eraseDevice(id) {
      const { now, receipt } = await call({ device: id, user: null, limit: 0 });
      return { now, receipt };
    },
    eraseUser: (user, limit) => call({ device: null, user, limit }),
  };
}
