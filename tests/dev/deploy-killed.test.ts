import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { signBytes } from '../support/sign.ts';
import { until } from '../support/waiting.ts';
import { type Deployed, sendOver, serve } from '../support/deployed.ts';
import { compilerMs, copyCheckout, deploy, type Deployment } from '../support/deployment.ts';
import { type Graph, startGraph } from '../support/graph.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { bodyOf } from '../support/whatsapp.ts';

// What the platform does to a function at its time limit: the process is gone, at whatever line it was. Each test
// kills the deployment in the middle of a turn, starts another on the same database, and asks it something.

const SECRET = 'test_app_secret';
/** Any number: whoever holds it keeps every COMMIT from going on. */
const GATE = 4_711;

let folder: string;
let deployment: Deployment;
let database: TestDatabase;
let pool: pg.Pool;
let graph: Graph;
let served: Deployed;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'baton-killed-'));
  deployment = await deploy(await copyCheckout(join(folder, 'checkout')), join(folder, 'output'));
}, compilerMs);
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 3 });
  pool.on('error', () => {});
  graph = await startGraph();
  served = await start();
});
afterEach(async () => {
  await served.kill();
  await graph.close();
  await pool.end();
  await database.drop();
});

const start = (): Promise<Deployed> =>
  serve(deployment.checkout, join(folder, 'output'), {
    DATABASE_URL: database.url,
    WHATSAPP_APP_SECRET: SECRET,
    WHATSAPP_ACCESS_TOKEN: 'the-access-token',
    WHATSAPP_API_URL: graph.url,
  });

const sql = async (text: string): Promise<Record<string, unknown>[]> =>
  (await pool.query(text)).rows;

async function post(body: string): Promise<void> {
  const signature = `sha256=${signBytes(Buffer.from(body), SECRET)}`;
  const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature };
  const url = 'https://baton.test/api/webhooks/whatsapp';
  const answer = await sendOver(served.url, new Request(url, { method: 'POST', headers, body }));
  expect(answer.status).toBe(200);
}

/** A request of somebody else's, and the work behind it. */
async function nextRequest(): Promise<void> {
  const headers = { 'x-device-id': crypto.randomUUID() };
  await sendOver(served.url, new Request('https://baton.test/api/lock', { headers }));
  await served.settled();
}

const replies = () =>
  sql(`SELECT status, content FROM chat_messages WHERE role = 'assistant' ORDER BY seq`);
const questions = () => sql(`SELECT status, seq::int FROM chat_messages WHERE role = 'user'`);

/** Lets the leases and claims of the function that was killed run out. */
async function letLeasesLapse(): Promise<void> {
  await sql(`UPDATE conversation_states SET turn_expires_at = now() - interval '1 second'`);
  await sql(
    `UPDATE chat_messages SET claim_expires_at = now() - interval '1 second' WHERE claim_expires_at IS NOT NULL`,
  );
}

/** Makes every COMMIT wait in the database, between its first write and its last, until `open` is called. */
async function closeGate(): Promise<{ open(): Promise<void>; isReached(): Promise<boolean> }> {
  await sql(`CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(${GATE}); RETURN NEW; END'`);
  await sql(`CREATE TRIGGER gate BEFORE INSERT ON chat_messages FOR EACH ROW
    WHEN (NEW.role = 'assistant') EXECUTE FUNCTION gate()`);
  const holder = await pool.connect();
  await holder.query('SELECT pg_advisory_lock($1)', [GATE]);
  return {
    async open() {
      await holder.query('SELECT pg_advisory_unlock($1)', [GATE]);
      holder.release();
    },
    async isReached() {
      const waiting = await sql(
        `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`,
      );
      return waiting.length > 0;
    },
  };
}

test('before its COMMIT was done: the message still waits, and the next request answers it, once', async () => {
  const gate = await closeGate();
  await post(bodyOf([{ from: '12025550101', body: 'hello' }]));
  await until('the COMMIT is under way', () => gate.isReached());
  await served.kill();
  await sql(
    `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`,
  );
  await until('the database has let go of it', async () => !(await gate.isReached()));
  await gate.open();
  expect(await replies()).toEqual([]);
  expect(await questions()).toEqual([{ status: 'waiting', seq: null }]);

  served = await start();
  await nextRequest();
  expect(await replies(), 'while the lease lasts nobody else takes the turn').toEqual([]);
  await letLeasesLapse();
  await nextRequest();
  expect(await questions()).toEqual([{ status: 'answered', seq: 1 }]);
  expect(await replies()).toMatchObject([{ status: 'sent' }]);
  expect(graph.sent).toHaveLength(1);
});

test('after its COMMIT, before it sent: the reply is not lost; it is sent once its fate is clear', async () => {
  const gate = await closeGate();
  await post(bodyOf([{ from: '12025550101', body: 'hello' }]));
  await until('the COMMIT is under way', () => gate.isReached());
  await served.kill();
  await gate.open();
  await until('the COMMIT is done', async () => (await replies()).length === 1);
  expect(await questions()).toEqual([{ status: 'answered', seq: 1 }]);
  expect(graph.sent).toEqual([]);

  served = await start();
  await letLeasesLapse();
  await nextRequest();
  expect(await replies(), 'it may have been sent: nobody can tell yet').toMatchObject([
    { status: 'unknown' },
  ]);
  await letLeasesLapse();
  await nextRequest();
  expect(await replies()).toMatchObject([{ status: 'sent' }]);
  expect(graph.sent).toHaveLength(1);
});

test('while Meta had the reply: it is known as unknown until Meta tells, and not sent again', async () => {
  const taken = Promise.withResolvers<void>();
  graph.onSend(() => {
    taken.resolve();
    return new Promise(() => {});
  });
  await post(bodyOf([{ from: '12025550101', body: 'hello' }]));
  await taken.promise;
  await served.kill();
  graph.onSend(() => {});

  served = await start();
  await letLeasesLapse();
  await nextRequest();
  expect(await replies()).toMatchObject([{ status: 'unknown' }]);

  const id = graph.sent[0]?.body.biz_opaque_callback_data;
  const status = {
    id: 'wamid.of.the.killed',
    status: 'delivered',
    timestamp: String(Math.floor(Date.now() / 1_000)),
    recipient_id: '12025550101',
    biz_opaque_callback_data: id,
  };
  const metadata = { display_phone_number: '12025550199', phone_number_id: '200000000000001' };
  const value = { messaging_product: 'whatsapp', metadata, statuses: [status] };
  const change = { id: '100000000000001', changes: [{ value, field: 'messages' }] };
  await post(JSON.stringify({ object: 'whatsapp_business_account', entry: [change] }));
  await served.settled();
  await letLeasesLapse();
  await nextRequest();
  const [reply] = await replies();
  expect(['sent', 'delivered']).toContain(reply?.['status']);
  expect(graph.sent).toHaveLength(1);
});
