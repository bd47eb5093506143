import { randomUUID } from 'node:crypto';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFunctions } from '../../drizzle/files.ts';
import { parseJson } from '../../lib/json.ts';
import { JSONB } from '../../lib/storage/postgres/database.ts';
import { createPostgresStorage } from '../../lib/storage/postgres/postgres-storage.ts';
import type { Fence, IncomingMessage, Storage, Turn } from '../../lib/storage/storage.ts';
import {
  ACCOUNT,
  answerOf,
  askedOf,
  crowd,
  deviceOf,
  phoneOf,
  sessionOf,
  userIdOf,
} from '../support/crowd.ts';
import { mostRows, type PlanWatch, watchPlans } from '../support/plans.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { commitOf, limits, message, newDevice, terms } from '../support/storage.ts';

// What a connection has planned while the tables were small it keeps; and what the planner was told of them may be of a
// day when they were empty. Neither may make an operation read more than it carries: found as an ACCEPT of 500 messages
// that took twelve seconds on a database that had been vacuumed before its first customer came.

/** Devices, with six rows of messages and identities each; what an operation carries then, and what the first one does. */
const DEVICES = 1_200;
const BATCH = 40;
const FIRST = 150;

interface Worker {
  storage: Storage;
  /** The first of the devices an operation is about: strangers while it is planned for, then some of the crowd. */
  from: number;
  turn: Turn | null;
  sent: IncomingMessage[];
}

const many = <T>(size: number, make: (i: number) => T): T[] =>
  Array.from({ length: size }, (_, i) => make(i));

const fromWhatsApp = (phone: string, userId: string, some: Partial<IncomingMessage> = {}) =>
  message(newDevice(), {
    sender: { phone, userId, dial: phone },
    channel: 'whatsapp',
    account: ACCOUNT,
    answerWithin: 86_400,
    ...some,
  });

const anybody = { owner: null, includeExpired: false };
const own = (user: string) => ({ user, device: null, active: null, includeExpired: true });
const none = { kind: 'none' } as const;
const links = { own: 1_000, all: 100_000, seconds: 60 };

/** Of a worker's turn, if it has one. */
const held = ({ turn }: Worker) =>
  [turn?.device ?? deviceOf(0), turn?.fence ?? ('0' as Fence)] as const;

type Operation = (worker: Worker, size: number) => Promise<unknown>;

const acceptKnown = (
  { storage, from }: Worker,
  size: number,
  some: (i: number) => Partial<IncomingMessage>,
) =>
  storage.accept(
    many(size, (i) => fromWhatsApp(phoneOf(from + i), userIdOf(from + i), some(from + i))),
    terms(),
  );

const operations: Readonly<Record<string, Operation>> = {
  // first: what is not said to a function of the database, and so is planned by itself
  getLock: ({ storage, from }) => storage.getLock(deviceOf(from)),
  getState: ({ storage, from }) => storage.getState(deviceOf(from)),
  readSession: ({ storage, from }) => storage.readSession(sessionOf(from), anybody),
  listFailed: ({ storage }) => storage.listFailed(null, null, 20),
  putState: ({ storage, from }) => storage.putState(deviceOf(from), { a: 1 }, none),
  'putState, guarded': ({ storage, from }) =>
    storage.putState(deviceOf(from), { a: 1 }, { kind: 'present', versions: [] }),
  patchState: ({ storage, from }) => storage.patchState(deviceOf(from), { a: 1 }, none),
  clearState: ({ storage, from }) => storage.clearState(deviceOf(from), none),
  registerDevice: ({ storage }) => storage.registerDevice(newDevice()),
  'accept, of new people': (worker, size) => {
    const mark = randomUUID();
    worker.sent = many(size, (i) => fromWhatsApp(`9 ${mark} ${i}`, `N ${mark} ${i}`));
    return worker.storage.accept(worker.sent, terms());
  },
  'accept, the same again': ({ storage, sent }) => storage.accept(sent, terms()),
  'accept, of people who are known': (worker, size) => acceptKnown(worker, size, () => ({})),
  'accept, of people who become others': (worker, size) =>
    acceptKnown(worker, size, (i) => ({
      turn: false,
      becomes: { phone: randomUUID(), userId: userIdOf(i) },
    })),
  'accept, said for the business': (worker, size) =>
    acceptKnown(worker, size, () => ({ byHuman: { ttlSeconds: 60 } })),
  'accept, taken back': (worker, size) =>
    acceptKnown(worker, size, (i) => ({ turn: false, revokes: askedOf(i) })),
  'accept, of devices': ({ storage, from }, size) =>
    storage.accept(
      many(size, (i) => message(deviceOf(from + 200 + i), { maxWaiting: 100, perMinute: 1_200 })),
      terms(),
    ),
  'accept, to sessions': ({ storage, from }, size) =>
    storage.accept(
      many(size, (i) => {
        const sender = { session: sessionOf(from + 300 + i), owner: deviceOf(from + 300 + i) };
        return message(newDevice(), { sender, channel: 'chat', maxWaiting: 100, perMinute: 1_200 });
      }),
      terms({ maxTurns: 0 }),
    ),
  'accept, one to wait': ({ storage, from }) =>
    storage.accept([message(deviceOf(from + 400))], terms({ maxTurns: 0 })),
  next: async (worker, size) => {
    const { turns } = await worker.storage.next(
      many(size, (i) => deviceOf(worker.from + 400 + i)),
      terms(),
    );
    worker.turn = turns.find(({ messages }) => messages.length > 0) ?? null;
  },
  extend: (worker) => worker.storage.extend(...held(worker), 'builtin', 60_000),
  commit: (worker) => {
    const content = { ...commitOf('a', 'b'), deliver: true, statePatch: { a: 1 } };
    const lock = { do: 'set', agent: 'x', ttl: 60 } as const;
    return worker.storage.commit(...held(worker), 'builtin', { ...content, lock }, 60_000);
  },
  settle: (worker) => worker.storage.settle(...held(worker), [], 0),
  recover: async (worker) => {
    const { turns } = await worker.storage.recover(terms(), 0);
    worker.turn = turns[0] ?? null;
  },
  fail: (worker) => worker.storage.fail(...held(worker), 'Error'),
  giveBack: (worker) => worker.storage.giveBack(...held(worker), 'builtin'),
  noteStatuses: ({ storage, from }, size) =>
    storage.noteStatuses(
      'whatsapp',
      many(size, (i) => {
        const failed = i % 2 === 0 && {
          status: 'failed' as const,
          error: '131026',
          retryMs: 1_000,
        };
        const about = { account: ACCOUNT, externalId: answerOf(from + i), replyId: null };
        return { ...about, status: 'delivered' as const, ...failed };
      }),
    ),
  readAnswer: ({ storage, from }) =>
    storage.readAnswer(deviceOf(from), 'whatsapp', askedOf(from), ACCOUNT),
  retryFailed: ({ storage }) => storage.retryFailed(null, 20),
  'retryFailed, of one': ({ storage, from }) => storage.retryFailed(deviceOf(from + 5), 20),
  setLock: ({ storage, from }) =>
    storage.setLock(deviceOf(from + 6), { agent: 'human', ttlSeconds: 60 }, none),
  clearLock: ({ storage, from }) => storage.clearLock(deviceOf(from + 6), none),
  readDevice: ({ storage, from }) => storage.readDevice(deviceOf(from + 7), null, 20),
  offerLink: ({ storage, from }) => storage.offerLink(deviceOf(from + 8), ['111111', '222222'], 60),
  redeemLink: ({ storage, from }) => storage.redeemLink(deviceOf(from + 9), '111111', links),
  'redeemLink, a wrong code': ({ storage, from }) =>
    storage.redeemLink(deviceOf(from + 9), '999999', links),
  unlink: ({ storage, from }) => storage.unlink(deviceOf(from + 9)),
  createSession: ({ storage, from }) =>
    storage.createSession(
      {
        id: randomUUID(),
        device: deviceOf(from + 10),
        user: 'user 10',
        channel: 'chat',
        metadata: {},
        ttlSeconds: null,
      },
      { living: 1_000, hourly: 1_000 },
    ),
  patchSession: ({ storage, from }) =>
    storage.patchSession(sessionOf(from + 10), null, { metadata: { a: 1 }, complete: true }, 1_000),
  deleteSession: ({ storage, from }) => storage.deleteSession(sessionOf(from + 11), anybody),
  listSessions: ({ storage }) => storage.listSessions(own('user 12'), null, 50),
  readHistory: ({ storage, from }) => storage.readHistory(sessionOf(from + 12), anybody, null, 10),
  readExport: ({ storage }) => storage.readExport(own('user 12'), null, 50),
  searchSessions: ({ storage }) => storage.searchSessions('hello', own('user 12'), null, 50),
  eraseDevice: ({ storage, from }) => storage.eraseDevice(deviceOf(from + 13)),
  eraseUser: ({ storage }) => storage.eraseUser('user 14', 10),
  cleanUp: ({ storage }, size) => storage.cleanUp(size),
};

/** Often enough that a named statement is planned for good: PostgreSQL plans the first five times anew. */
const OFTEN = 7;

/** What the planner was told of the tables last. */
const known: readonly (readonly [name: string, statements: readonly string[]])[] = [
  ['never analysed', []],
  ['analysed while they were empty', ['VACUUM ANALYZE']],
  [
    'analysed with a device in them',
    [crowd(1), 'DROP TABLE crowd; DROP FUNCTION uuid_of', 'VACUUM ANALYZE'],
  ],
];

describe.each(known)('over tables that were %s', (_, statements) => {
  let database: TestDatabase;
  let client: pg.Client;
  let plans: PlanWatch;
  let worker: Worker;

  async function planAll(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      for (const operation of Object.values(operations)) await operation(worker, 1);
    }
  }

  async function readNoMore(name: string, size: number): Promise<void> {
    plans.take();
    await operations[name]?.(worker, size);
    const taken = plans.take();
    expect(taken.length).toBeGreaterThan(0);
    const worst = taken.toSorted((a, b) => mostRows(b) - mostRows(a))[0] ?? '';
    expect(mostRows(worst), worst).toBeLessThan(10 * size);
  }

  beforeAll(async () => {
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    pg.types.setTypeParser(JSONB, parseJson);
    const { rows } = await client.query<{ name: string }>(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
    );
    for (const { name } of rows)
      await client.query(`ALTER TABLE ${name} SET (autovacuum_enabled = off)`);
    for (const statement of statements) await client.query(statement);
    const storage = createPostgresStorage(drizzle(client), limits);
    worker = { storage, from: 10_000, turn: null, sent: [] };
    plans = await watchPlans(client);
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  describe('the first that is large', () => {
    beforeAll(() => planAll(1));

    it.each(Object.keys(operations))('%s reads no more than it carries', (name) =>
      readNoMore(name, FIRST),
    );
  });

  describe('once they have grown', () => {
    beforeAll(async () => {
      await planAll(OFTEN);
      worker = { ...worker, from: 100, turn: null };
      await client.query(crowd(DEVICES).replace('generate_series(0', 'generate_series(1'));
      // the call that notices; it alone may still go by an old plan
      await worker.storage.getLock(deviceOf(0));
    });

    it.each(Object.keys(operations))('%s reads no more than it carries', (name) =>
      readNoMore(name, BATCH),
    );
  });
});

it('every function that keeps its plans first drops those that the tables have outgrown', async () => {
  // called by others that do
  const inner = [
    'found_anywhere',
    'found_in_scope',
    'search_from',
    'session_figures',
    'session_scope',
  ];
  const keeping = (await readFunctions()).filter(({ sql }) => sql.includes('force_generic_plan'));
  const bare = keeping.filter(
    ({ sql }) => !sql.includes('\nBEGIN\n  PERFORM baton_replan_v1();\n'),
  );
  expect(bare.map(({ name }) => name)).toEqual(inner.map((name) => `baton_${name}_v1`));
  expect(keeping.length).toBeGreaterThan(25);
});
