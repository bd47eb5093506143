import { expect, it } from 'vitest';
import { SETTLE } from '../../lib/storage/cache/scripts.ts';
import type { IncomingMessage, Storage } from '../../lib/storage/storage.ts';
import { withRedis } from '../support/redis.ts';
import { commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import { anyway, cacheOfTests, hold, never } from './instances.ts';

// Whatever writes: turns, people, links and erasures too, one after the other.

withRedis('a value of before is not given', () => {
  const cache = cacheOfTests();
  const { agentOf, warm, held, lapse, stopping } = cache;

  it('after whatever changes locks and states on its way', async () => {
    const { storage } = cache.other;
    const inPerson = (some: Partial<IncomingMessage>): IncomingMessage => ({
      ...message(newDevice(), { channel: 'whatsapp', account: '1', ...some }),
      sender: { phone: '123', userId: null },
    });
    const [known] = await storage.accept([inPerson({ turn: false })], terms());
    const device = known?.device ?? newDevice();
    const writes: Record<string, () => Promise<unknown>> = {
      'a turn that takes the lock': async () => {
        const turn = await take(storage, device);
        await storage.commit(
          device,
          turn.fence,
          'builtin',
          {
            ...commitOf('a'),
            lock: { do: 'set', agent: 'billing', ttl: 60 },
            statePatch: { a: 1 },
          },
          60_000,
        );
      },
      'a turn that renews it': async () => {
        const turn = await take(storage, device);
        await storage.commit(
          device,
          turn.fence,
          'builtin',
          { ...commitOf('b'), lock: { do: 'renew', ttl: 600 }, state: { b: 2 } },
          60_000,
        );
      },
      'a turn that ends it': async () => {
        const turn = await take(storage, device);
        await storage.commit(
          device,
          turn.fence,
          'builtin',
          { ...commitOf('c'), lock: { do: 'clear' }, statePatch: { b: null } },
          60_000,
        );
      },
      'a person who answers from the business’s own app': () =>
        storage.accept([inPerson({ byHuman: { ttlSeconds: 60 } })], terms()),
      'a guarded write that is refused': () =>
        storage.setLock(device, hold('other'), { kind: 'absent' }),
      'a guarded write': () =>
        storage.setLock(device, hold('other'), { kind: 'present', versions: [] }),
      'a merge': () => storage.patchState(device, { c: 3 }, anyway),
      'a document': () => storage.putState(device, { d: 4 }, anyway),
      'a large document': () => storage.putState(device, { text: 'x'.repeat(100_000) }, anyway),
      'a document that goes': () => storage.clearState(device, anyway),
      'a lock that is cleared': () => storage.clearLock(device, anyway),
    };
    for (const [name, write] of Object.entries(writes)) {
      const read = async (by: Storage) => {
        const { now: _, ...state } = await by.getState(device);
        return { lock: (await by.getLock(device)).lock, state };
      };
      await read(storage);
      await cache.other.settled();
      const before = await read(cache.postgres.storage);
      expect(await read(storage), name).toEqual(before);
      await write();
      expect(await read(storage), name).toEqual(await read(cache.postgres.storage));
      await cache.other.settled();
      expect(await read(storage), name).toEqual(await read(cache.postgres.storage));
    }
  });

  it('to devices that share a conversation, nor to those who did', async () => {
    const { storage } = cache.other;
    const [owner, guest] = [await held('owner'), await held('guest')];
    const seen = async () => [await agentOf(owner), await agentOf(guest)];
    const { link } = await storage.offerLink(owner, ['123456'], 600);
    const limits = { own: 5, all: 1_000, seconds: 600 };
    expect(await seen()).toEqual(['owner', 'guest']);
    await cache.other.settled();
    expect(await storage.redeemLink(guest, link?.code ?? '', limits)).toMatchObject({
      outcome: 'linked',
    });
    for (const [agent, by] of [
      ['first', guest],
      ['second', owner],
      ['third', guest],
    ] as const) {
      await storage.setLock(by, hold(agent), anyway);
      expect(await seen()).toEqual([agent, agent]);
      await cache.other.settled();
      expect(await seen()).toEqual([agent, agent]);
    }
    await storage.unlink(guest);
    expect(await seen()).toEqual(['third', 'guest']);
    await warm(guest);
    await storage.setLock(guest, hold('alone'), anyway);
    expect(await seen()).toEqual(['third', 'alone']);
  });

  it('of what was erased, of a device or of a user', async () => {
    const { storage } = cache.other;
    const [first, second] = [await held(), await held()];
    await storage.eraseDevice(first);
    expect(await agentOf(first)).toBeNull();
    await warm(second);
    const session = { id: crypto.randomUUID(), device: second, user: 'ann', channel: 'web' };
    await storage.createSession(
      { ...session, metadata: {}, ttlSeconds: null },
      { living: 0, hourly: 0 },
    );
    await storage.eraseUser('ann', 10);
    expect(await agentOf(second)).toBeNull();
  });

  it('by a person’s takeover that died between the database and the cache, whoever it was about', async () => {
    const sender = { phone: '456', userId: null };
    const echo = (some: Partial<IncomingMessage>): IncomingMessage => ({
      ...message(newDevice(), { channel: 'whatsapp', account: '1', ...some }),
      sender,
    });
    const [known] = await cache.other.storage.accept([echo({ turn: false })], terms());
    const device = known?.device ?? newDevice();
    await warm(device);
    void stopping(SETTLE, never).storage.accept([echo({ byHuman: { ttlSeconds: 60 } })], terms());
    await expect.poll(() => agentOf(device, cache.postgres.storage)).toBe('human');
    expect([await agentOf(device), cache.other.told.at(-1)]).toEqual(['human', 'busy']);
    await lapse();
    expect([await agentOf(device), cache.other.told.at(-1)]).toEqual(['human', 'miss']);
    await warm(device);
  });
});
