import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formats, type FormatName } from '../../lib/export.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import { exported, fill, type Kept, pictureOf } from '../support/kept.ts';
import { type Moving, newPrefix, openMoving, toPostgres, toRedis } from '../support/moving.ts';
import { runOn, type TestDatabase } from '../support/postgres.ts';
import { withRedis } from '../support/redis.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';

const SESSIONS = 150;

withRedis('npm run migrate-storage', () => {
  let moving: Moving;
  /** Filled by the Redis storage, and never written to again. */
  const source = newPrefix();
  let kept: Kept;
  let picture: object;

  beforeAll(async () => {
    moving = await openMoving();
    kept = await fill(redisAt(source), SESSIONS);
    picture = await pictureOf(redisAt(source), kept);
  });
  afterAll(() => moving.close());

  const redisAt = (prefix: string, most?: number) => moving.redisAt(prefix, most);
  const postgresAt = (database: TestDatabase) => moving.postgresAt(database);
  const another = () => moving.another();
  const move: Moving['move'] = (...args) => moving.move(...args);
  const killedAt: Moving['killedAt'] = (...args) => moving.killedAt(...args);

  it('moves everything to PostgreSQL, to Redis and once more, and what callers see is the same', async () => {
    const [first, last, prefix] = [await another(), await another(), newPrefix()];
    const there = await move(toPostgres, source, first);
    expect([there.code, there.err]).toEqual([0, '']);
    expect(there.out).toMatch(/^sessions +\d+ +[0-9a-f]{16}$/m);
    expect(there.out).toMatch(/^The same on both sides\./m);
    expect(await pictureOf(postgresAt(first), kept)).toEqual(picture);

    const back = await move(toRedis, prefix, first);
    expect([back.code, back.err]).toEqual([0, '']);
    expect(await pictureOf(redisAt(prefix), kept)).toEqual(picture);

    const again = await move(toPostgres, prefix, last);
    expect([again.code, again.err]).toEqual([0, '']);
    const storages = [postgresAt(first), redisAt(prefix), postgresAt(last)];
    for (const user of kept.users) {
      for (const format of Object.keys(formats) as FormatName[]) {
        const scope = { user, device: null };
        const before = await exported(redisAt(source), scope, format);
        for (const storage of storages) expect(await exported(storage, scope, format)).toBe(before);
      }
    }
    expect(await pictureOf(redisAt(source), kept)).toEqual(picture);
  });

  it('goes on where it was killed, both ways, and changes nothing when it is done', async () => {
    const [database, prefix] = [await another(), newPrefix()];
    expect(await killedAt(2, toPostgres, source, database)).toBe('SIGKILL');
    const there = await move(toPostgres, source, database);
    expect([there.code, there.err]).toEqual([0, '']);
    expect(await pictureOf(postgresAt(database), kept)).toEqual(picture);

    for (const nth of [2, 5, 9]) {
      expect(await killedAt(nth, toRedis, prefix, database)).toBe('SIGKILL');
    }
    const back = await move(toRedis, prefix, database);
    expect([back.code, back.err]).toEqual([0, '']);
    expect(await pictureOf(redisAt(prefix), kept)).toEqual(picture);

    // what is written to the target from then on is not lost by another run
    const device = newDevice();
    await redisAt(prefix).putState(device, { a: 1 }, { kind: 'none' });
    const done = await move(toRedis, prefix, database);
    expect(done).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringMatching(/^Everything was moved at .+, and nothing was changed now\.\n$/),
    });
    expect(await redisAt(prefix).getState(device)).toMatchObject({ state: { a: 1 } });
  });

  it('tells what was written meanwhile, and moves it when it is run again', async () => {
    const database = await another();
    const prefix = newPrefix();
    const storage = redisAt(prefix);
    const some = await fill(storage, 24);
    const device = some.devices[0] ?? newDevice();
    const written: Promise<unknown>[] = [];
    // when it has been read for the first time
    moving.atPipeline(1, () => {
      written.push(storage.setLock(device, { agent: 'late', ttlSeconds: 60 }, { kind: 'none' }));
    });
    const changed = await move(toPostgres, prefix, database);
    moving.undisturbed();
    await Promise.all(written);
    expect(changed.code).toBe(1);
    expect(changed.err).toMatch(
      /^The two sides are not the same:\n {2}devices: (\d+) in PostgreSQL, \1 in Redis, with other content\n/,
    );
    expect(changed.err).toContain(`devices of ${device}`);
    expect(changed.err).toMatch(/stop the deployment and its cron, and run this again\./);

    const again = await move(toPostgres, prefix, database);
    expect([again.code, again.err]).toEqual([0, '']);
    expect((await postgresAt(database).getLock(device)).lock).toMatchObject({ agent: 'late' });
  });

  it('knows redeliveries, senders and links, and refuses who was late before', async () => {
    const [database, prefix, next] = [await another(), newPrefix(), newPrefix()];
    const before = redisAt(prefix);
    const [device, guest] = [newDevice(), newDevice()];
    const first = message(device);
    const late = await take(before, device, first);
    await before.giveBack(device, late.fence, 'builtin');
    const [newer] = (await before.next([device], terms({ leaseMs: 600_000 }))).turns;
    if (newer === undefined) throw new Error('the turn was not free');
    const { link } = await before.offerLink(device, [randomUUID()], 600);
    await before.redeemLink(guest, link?.code ?? '', { own: 5, all: 1_000, seconds: 600 });
    const sender = { phone: '1555', userId: 'U1' };
    const phoned = { ...message(device), channel: 'whatsapp', account: 'n', sender };
    const [person] = await before.accept([phoned], terms());
    const erased = message(newDevice());
    const { sessionId } = await take(before, newDevice(), erased);
    await before.deleteSession(sessionId, { owner: null, includeExpired: true });
    await before.setLock(device, { agent: 'billing', ttlSeconds: 600 }, { kind: 'none' });
    const { lock } = await before.getLock(device);

    const asksAfter = async (storage: Storage) => {
      expect((await storage.accept([first], terms()))[0]).toMatchObject({
        turn: null,
        messages: [{ duplicate: true, status: 'waiting' }],
      });
      const words = { ...message(device), channel: 'whatsapp', account: 'n', sender };
      expect((await storage.accept([words], terms({ maxTurns: 0 })))[0]?.device).toBe(
        person?.device,
      );
      expect((await storage.getLock(guest)).lock).toEqual(lock);
      const refused = await storage.commit(device, late.fence, 'builtin', commitOf('late'), 1_000);
      expect(refused.outcome).toBe('lost');
      const drawn = await take(storage, newDevice());
      expect(Number(drawn.fence)).toBeGreaterThan(Number(newer.fence));
      expect(Number(drawn.messages[0]?.id)).toBeGreaterThan(Number(newer.messages[0]?.id));
    };
    expect((await move(toPostgres, prefix, database)).err).toBe('');
    expect((await move(toRedis, next, database)).err).toBe('');
    for (const storage of [postgresAt(database), redisAt(next)]) {
      await asksAfter(storage);
      // who had the turn may still end it
      expect(await commit(storage, newer, commitOf('x'))).toMatchObject({
        answered: [{ messageId: first.externalId }],
        replies: [{ content: 'x' }],
      });
    }
    const [again] = await postgresAt(database).accept([erased], terms());
    expect(again).toMatchObject({ messages: [{ duplicate: true, status: 'erased' }] });
  });

  it('says before it begins what Redis would not keep, and leaves it behind only if it may', async () => {
    const [database, prefix] = [await another(), newPrefix()];
    const before = postgresAt(database);
    const device = newDevice();
    const first = message(device, { externalId: 'first' });
    await commit(before, await take(before, device, first), commitOf('a0'));
    for (let i = 1; i < 8; i++) await commit(before, await take(before, device), commitOf(`a${i}`));
    const large = newDevice();
    for (const content of ['x'.repeat(700_000), 'y'.repeat(700_000)]) {
      await commit(before, await take(before, large, { content }), commitOf('z'));
    }
    const few = { SESSION_MAX_MESSAGES_KEPT: '10' };
    const refused = await move(toRedis, prefix, database, few);
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /^2 sessions have more than Redis keeps of each, the last 10 messages and 1048576 bytes: 7 messages are too many\.\nRaise .+ --trim\.\n$/,
      ),
    });
    const trimmed = await move([...toRedis, '--trim'], prefix, database, few);
    expect([trimmed.code, trimmed.err]).toEqual([0, '']);
    expect(trimmed.out).toMatch(/^messages +13 /m);
    const after = redisAt(prefix, 10);
    const said = await exported(after, { user: null, device }, 'jsonl');
    expect(said.split('\n').slice(1, -1)).toHaveLength(10);
    expect((await after.accept([first], terms()))[0]).toMatchObject({
      turn: null,
      messages: [{ messageId: 'first', duplicate: true, status: 'answered' }],
    });

    // what Redis itself has let go stays known on the way back
    const back = await another();
    expect((await move(toPostgres, prefix, back, few)).err).toBe('');
    expect((await postgresAt(back).accept([first], terms()))[0]).toMatchObject({
      turn: null,
      messages: [{ duplicate: true }],
    });
  });

  it('leaves a target alone that holds something, or another move', async () => {
    const [full, half, prefix] = [await another(), await another(), newPrefix()];
    await postgresAt(full).putState(newDevice(), { a: 1 }, { kind: 'none' });
    await redisAt(prefix).putState(newDevice(), { a: 1 }, { kind: 'none' });
    expect(await move(toPostgres, source, full)).toMatchObject({
      code: 1,
      err: 'The database is not empty: move into one that was just made and migrated.\n',
    });
    expect((await move(toRedis, prefix, full)).err).toMatch(
      /^Redis holds something under this prefix/,
    );
    expect(await killedAt(2, toPostgres, source, half)).toBe('SIGKILL');
    expect((await move(toPostgres, prefix, half)).err).toMatch(/was broken off: finish that one/);
  });

  it('counts what it would move, and writes nothing', async () => {
    const database = await another();
    const { code, out } = await move([...toPostgres, '--dry-run'], source, database);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^devices +\\d{3}$`, 'm'));
    const now = await move(toPostgres, source, database);
    expect(now.code).toBe(0);
  });

  it.each([
    [['--from', 'redis', '--to', 'redis'], {}, 'Say from where and where to'],
    [
      toPostgres,
      { UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' },
      'UPSTASH_REDIS_REST_URL must be set',
    ],
    [toPostgres, { UPSTASH_REDIS_REST_TOKEN: 'x' }, 'Redis cannot be reached'],
  ])('%j with %j: one sentence, and exit code 1', async (args, some, sentence) => {
    const { code, err } = await move(args, source, await another(), some);
    expect([code, err]).toEqual([1, expect.stringContaining(sentence)]);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('asks for the migrations first', async () => {
    const database = await another();
    await runOn(database.url, 'DROP TABLE restores');
    expect((await move(toPostgres, source, database)).err).toMatch(/npm run db:migrate/);
  });
});
