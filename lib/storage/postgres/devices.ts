import { sql } from 'drizzle-orm';
import * as z from 'zod/mini';
import { conversationStates as states } from '../../../drizzle/schema.ts';
import type { DeviceRecord, Storage, Version } from '../storage.ts';
import { type Database, device } from './database.ts';
import { run } from './failures.ts';
import { parseLock, time } from './rows.ts';
import { parseListed } from './session-rows.ts';

const state = z.nullable(z.object({ version: z.string(), bytes: z.number(), updated_at: time }));
const messages = z.object({
  user: z.number(),
  assistant: z.number(),
  waiting: z.number(),
  failed: z.number(),
});
const holdings = z.array(
  z.object({
    agent: z.string(),
    from: time,
    to: time,
    reason: z.enum(['expired', 'cleared', 'handed_over']),
  }),
);

function parseState(value: unknown): DeviceRecord['state'] {
  const row = state.parse(value);
  if (row === null) return null;
  return { version: row.version as Version, bytes: row.bytes, updatedAt: row.updated_at };
}

/** Devices as such. */
export function deviceOperations(db: Database): Pick<Storage, 'registerDevice' | 'readDevice'> {
  const register = db
    .insert(states)
    .values({ deviceId: sql.placeholder('device') })
    .onConflictDoNothing()
    .returning({ device: states.deviceId })
    .prepare('baton_device_register');
  const read = db
    .select({
      now: sql<string>`now`,
      createdAt: sql<string>`created_at`,
      updatedAt: sql<string>`updated_at`,
      lock: sql<unknown>`lock`,
      state: sql<unknown>`state`,
      messages: sql<unknown>`messages`,
      sessionCount: sql<number>`session_count`,
      sessions: sql<unknown>`sessions`,
      events: sql<unknown>`events`,
    })
    .from(
      sql`baton_device_v1(${device}, ${sql.placeholder('user')}::text, ${sql.placeholder('limit')}::int)`,
    )
    .prepare('baton_device_read');
  return {
    async registerDevice(id) {
      return (await run(() => register.execute({ device: id }), false)).length > 0;
    },
    async readDevice(id, user, limit) {
      const [row] = await run(() => read.execute({ device: id, user, limit }), true);
      if (row === undefined) return null;
      return {
        now: new Date(row.now),
        record: {
          createdAt: new Date(row.createdAt),
          updatedAt: new Date(row.updatedAt),
          lock: parseLock(row.lock),
          state: parseState(row.state),
          messages: messages.parse(row.messages),
          sessionCount: row.sessionCount,
          sessions: parseListed(row.sessions),
          holdings: holdings.parse(row.events ?? []),
        },
      };
    },
  };
}
