import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import { alone, counted } from '../support/statistics.ts';
import { commit, commitOf, limits, message, newDevice, take, terms } from '../support/storage.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

/** What only PostgreSQL can get wrong: plans made before there was anything to plan for, limits of its types. */
describe('large tables', () => {
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  it('of identities that were never analysed are probed, never read, by a call planned when they were empty', async () => {
    const { storage, close } = openPg(database.url, limits, 1);
    const batch = (from: number) =>
      Array.from({ length: 200 }, (_, i) =>
        message(newDevice(), {
          sender: { phone: `9${from + i}`, userId: `U${from + i}` },
          channel: 'whatsapp',
          account: 'n',
        }),
      );
    await storage.accept(batch(0), terms({ maxTurns: 0 }));
    await client.query('ALTER TABLE channel_identities SET (autovacuum_enabled = off)');
    await client.query(
      `INSERT INTO channel_identities (channel, account, kind, value, device_id)
       SELECT 'whatsapp', 'n', kind, kind || g, gen_random_uuid() FROM generate_series(1, 50000) g, unnest('{phone,user_id}'::text[]) kind`,
    );
    const scanned = () =>
      counted(
        client,
        "SELECT seq_tup_read AS n FROM pg_stat_user_tables WHERE relname = 'channel_identities'",
      );
    const before = await scanned();
    await storage.accept(batch(1_000), terms({ maxTurns: 0 }));
    await close();
    await alone(client);
    expect((await scanned()) - before).toBeLessThan(50_000);
  });

  it('a long text of many different words is stored, found by its first words, and costs its neighbours nothing', async () => {
    const { storage, close } = openPg(database.url, limits, 1);
    const device = newDevice();
    const words = Array.from({ length: 60_000 }, (_, i) =>
      String.fromCodePoint(0x20000 + (i % 40_000), 0x4e00 + (i % 20_000)),
    );
    const content = `beginning ${words.join(' ')}`;
    const accepted = await storage.accept(
      [message(device, { content }), message(device, { content: 'neighbour' })],
      terms(),
    );
    expect(accepted[0]?.turn?.messages.map((one) => one.content.length)).toEqual([
      content.length,
      'neighbour'.length,
    ]);
    const { rows } = await client.query(
      "SELECT 1 FROM chat_messages WHERE device_id = $1 AND search @@ to_tsquery('baton_search', 'beginning')",
      [device],
    );
    expect(rows).toHaveLength(1);
    await close();
  });

  it('recovery reads as far as it takes turns, not the whole backlog', async () => {
    const { storage, close } = openPg(database.url, limits, 1);
    await client.query(
      `INSERT INTO conversation_states (device_id) SELECT md5(g::text)::uuid FROM generate_series(1, 20000) g`,
    );
    await client.query(
      `INSERT INTO chat_messages (device_id, session_id, role, content, channel, account, lane, status, sent_at, created_at)
       SELECT md5(g::text)::uuid, md5(g::text)::uuid, 'user', 'x', 'web', 'a', 'builtin', 'waiting', now(), now() FROM generate_series(1, 20000) g`,
    );
    const read = () =>
      counted(
        client,
        "SELECT sum(idx_tup_fetch) AS n FROM pg_stat_user_tables WHERE relname IN ('chat_messages', 'conversation_states')",
      );
    const before = await read();
    const { turns } = await storage.recover(terms({ maxTurns: 4 }));
    expect(turns).toHaveLength(4);
    await close();
    await alone(client);
    expect((await read()) - before).toBeLessThan(5_000);
  });

  it('a turn is not slowed by the replies that others have due, also where it was planned before there were any', async () => {
    // an empty one, in which plans are made for nothing
    const own = await createDatabase();
    const client = new pg.Client({ connectionString: own.url });
    await client.connect();
    const { storage, close } = openPg(own.url, limits, 1);
    const device = newDevice();
    const turnOf = async () => {
      const turn = await take(storage, device);
      await commit(storage, turn, { ...commitOf('x'), deliver: true });
      await storage.settle(device, turn.fence, [], 0);
      await storage.next([device], terms());
    };
    await turnOf();
    await client.query(
      `INSERT INTO chat_messages (device_id, session_id, seq, role, content, channel, account, lane, status, claim_expires_at, sent_at, created_at)
       SELECT md5('due' || g)::uuid, md5(g::text)::uuid, seq, 'assistant', 'x', 'whatsapp', 'a', 'builtin', status, now(), now(), now()
       FROM generate_series(1, 10000) g, unnest('{pending,unknown}'::text[]) WITH ORDINALITY statuses (status, seq)`,
    );
    const read = () =>
      counted(
        client,
        "SELECT sum(idx_tup_read) AS n FROM pg_stat_user_indexes WHERE relname = 'chat_messages'",
      );
    const before = await read();
    for (let i = 0; i < 5; i++) await turnOf();
    await close();
    await alone(client);
    expect((await read()) - before).toBeLessThan(5_000);
    await client.end();
    await own.drop();
  });

  it('ten thousand waiting messages enter the history in one short call when a person takes over', async () => {
    const { storage, close } = openPg(database.url, limits, 1);
    const device = newDevice();
    const turn = await take(storage, device);
    await commit(storage, turn, commitOf('x'));
    await client.query(
      `INSERT INTO chat_messages (device_id, session_id, role, content, channel, account, lane, status, sent_at, created_at)
       SELECT $1, $2, 'user', g::text, 'web', 'a', 'builtin', 'waiting', now() + g * interval '1 ms', now() FROM generate_series(1, 10000) g`,
      [device, turn.sessionId],
    );
    await storage.setLock(device, { agent: 'human', ttlSeconds: 60 }, { kind: 'none' });
    const { rows } = await client.query(
      "SELECT count(*)::int AS n, min(seq)::int AS first, max(seq)::int AS last, bool_and(seq = content::int + 2) AS ordered FROM chat_messages WHERE device_id = $1 AND status = 'recorded'",
      [device],
    );
    expect(rows).toEqual([{ n: 10_000, first: 3, last: 10_002, ordered: true }]);
    await close();
  });
});
