import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseJson } from '../../lib/json.ts';
import { readFrom } from '../support/catalog.ts';
import { fill } from '../support/kept.ts';
import { type Moving, newPrefix, openMoving, toPostgres, toRedis } from '../support/moving.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { withRedis } from '../support/redis.ts';

// A field that somebody adds to a storage must be moved as well: what lies in the rows and keys themselves is compared.

withRedis('npm run migrate-storage', () => {
  let moving: Moving;
  beforeAll(async () => {
    moving = await openMoving();
  });
  afterAll(() => moving.close());

  it('brings back every column of PostgreSQL but its own, by way of Redis', async () => {
    const [before, after, prefix] = [await moving.another(), await moving.another(), newPrefix()];
    await fill(moving.postgresAt(before), 24);
    expect((await moving.move(toRedis, prefix, before)).err).toBe('');
    expect((await moving.move(toPostgres, prefix, after)).err).toBe('');
    for (const [table, { own, which }] of Object.entries(tables)) {
      const rows = await rowsIn(before, table, own, which);
      expect(rows.length, table).toBeGreaterThan(0);
      expect(await rowsIn(after, table, own, which), table).toEqual(rows);
    }
  });

  it('brings back every key of Redis but what belongs to its clock, by way of PostgreSQL', async () => {
    const [database, before, after] = [await moving.another(), newPrefix(), newPrefix()];
    await fill(moving.redisAt(before), 24);
    expect((await moving.move(toPostgres, before, database)).err).toBe('');
    expect((await moving.move(toRedis, after, database)).err).toBe('');
    const erased = await erasedOf(moving, before);
    const had = await contentOf(moving, before, erased);
    const has = await contentOf(moving, after, erased);
    expect(Object.keys(had).length).toBeGreaterThan(200);
    expect(has).toEqual(had);
  });
});

/** What each table has for itself, and which of its rows are moved. */
const tables: Record<string, { own: string[]; which: string }> = {
  // what says something only while there is a lock, a session, or a turn
  conversation_states: {
    own: ['updated_at', 'session_ttl', 'session_expires_at', 'handed'],
    which: 'true',
  },
  chat_sessions: { own: [], which: 'true' },
  // hashed with keys of the database
  chat_messages: { own: ['dedupe_key', 'address'], which: `status <> 'erased'` },
  channel_identities: { own: ['created_at', 'checked_at'], which: 'true' },
  lock_events: { own: ['id'], which: 'true' },
};

async function rowsIn(
  { url }: TestDatabase,
  table: string,
  own: string[],
  which: string,
): Promise<string[]> {
  const left = own.map((column) => `'${column}'`).join();
  const rows = await readFrom<{ row: string }>(
    url,
    `SELECT (to_jsonb(t) - ARRAY[${left}]::text[])::text AS row FROM ${table} t WHERE ${which} ORDER BY 1`,
  );
  return rows.map(({ row }) => row);
}

const keysOf = async ({ redis }: Moving, prefix: string): Promise<string[]> => {
  const keys = (await redis.send(['KEYS', '*'])) as string[];
  return keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
};

/** Devices of which something was erased: keys of that are not moved. */
const erasedOf = async (moving: Moving, prefix: string): Promise<string[]> =>
  (await keysOf(moving, prefix)).flatMap((key) => /^\{(.+)\}:erased$/.exec(key)?.[1] ?? []);

/** What stands under each key, without the prefix, but of these devices. */
async function contentOf(
  moving: Moving,
  prefix: string,
  without: string[],
): Promise<Record<string, unknown>> {
  const content: Record<string, unknown> = {};
  for (const key of await keysOf(moving, prefix)) {
    if (/^(fence|id|secret|due|ends|move|tries|call:.*|code:.*)$/.test(key)) continue;
    const value = await valueAt(moving.redis, prefix + key);
    const text = key + JSON.stringify(value);
    if (!without.some((device) => text.includes(device))) content[key] = plain(value, prefix);
  }
  return content;
}

async function valueAt(redis: Moving['redis'], key: string): Promise<unknown> {
  const type = (await redis.send(['TYPE', key])) as { status: string };
  switch (type.status) {
    case 'string':
      return redis.send(['GET', key]);
    case 'list':
      return redis.send(['LRANGE', key, '0', '-1']);
    case 'set':
      return ((await redis.send(['SMEMBERS', key])) as string[]).toSorted();
    case 'hash': {
      const words = (await redis.send(['HGETALL', key])) as string[];
      return Object.fromEntries(
        words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]]] : [])),
      );
    }
    default:
      // of who is who the score is the time of the last look
      return key.endsWith(':names')
        ? ((await redis.send(['ZRANGE', key, '0', '-1'])) as string[]).toSorted()
        : redis.send(['ZRANGE', key, '0', '-1', 'WITHSCORES']);
  }
}

/** When all of a device ends, and when it is looked at again. */
const OF_ITS_CLOCK = ['keepUntil', 'lasts', 'purgeAt', 'heldUp', 'code', 'rateUntil'];

/** Documents as such, and no prefix in keys of keys. */
function plain(value: unknown, prefix: string): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item, prefix));
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([name]) => !OF_ITS_CLOCK.includes(name));
    return Object.fromEntries(entries.map(([name, item]) => [name, plain(item, prefix)]));
  }
  if (typeof value !== 'string') return value;
  if (value.startsWith(prefix)) return value.slice(prefix.length);
  return /^[[{]/.test(value) ? plain(parseJson(value), prefix) : value;
}
