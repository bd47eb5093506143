import { neonConfig } from '@neondatabase/serverless';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNeon } from '../../lib/storage/postgres/neon.ts';
import { openPg } from '../../lib/storage/postgres/pg.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import { type NeonBridge, startNeonBridge } from '../support/neon-bridge.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { limits, newDevice } from '../support/storage.ts';

/** Milliseconds for a statement that carries next to nothing. */
const SHORT = 200;

const ways: Record<string, (url: string) => { storage: Storage; close: () => Promise<void> }> = {
  'over pg': (url) => openPg(url, limits, 4, { connection: 60_000, statement: SHORT }),
  'over Neon HTTP': (url) => openNeon(url, limits, SHORT),
};

describe.each(Object.entries(ways))('a database that does not answer, %s', (_, open) => {
  let database: TestDatabase;
  let bridge: NeonBridge;
  let holder: pg.Client;
  beforeAll(async () => {
    bridge = await startNeonBridge();
    neonConfig.fetchEndpoint = bridge.endpoint;
    database = await createDatabase();
    holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
  });
  afterAll(async () => {
    await holder.end();
    await bridge.close();
    await database.drop();
  });

  it('is away after a moment for a small statement, and has longer for a large one', async () => {
    const { storage, close } = open(database.url);
    const device = newDevice();
    await storage.putState(device, {}, { kind: 'none' });
    await holder.query('BEGIN');
    await holder.query('SELECT FROM conversation_states WHERE device_id = $1 FOR UPDATE', [device]);

    const large = storage.putState(device, { text: 'x'.repeat(1_000_000) }, { kind: 'none' });
    const small = storage.putState(device, { text: 'x' }, { kind: 'none' });

    await expect(small).rejects.toMatchObject({ code: 'storage_unavailable' });
    await holder.query('COMMIT');
    expect(await large).toMatchObject({ written: true });
    await close();
  });
});
