import { afterAll, beforeAll, expect, it } from 'vitest';
import { FILL, MARK, SETTLE } from '../../lib/storage/cache/scripts.ts';
import type { SendCommand } from '../../lib/storage/cache/upstash.ts';
import type { DeviceId, IncomingMessage, Storage } from '../../lib/storage/storage.ts';
import { BatonError } from '../../lib/errors.ts';
import { type Instance, openInstance } from '../support/cached.ts';
import { withRedis } from '../support/redis.ts';
import {
  commitOf,
  type Harness,
  message,
  newDevice,
  openPostgres,
  take,
  terms,
} from '../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

// Every way in which a value of before could be given to a reader after a write, one by one and in one order.

const anyway = { kind: 'none' } as const;
const hold = (agent: string, ttlSeconds = 600) => ({ agent, ttlSeconds });

/** A place in the way of a call, where it can be held up. */
function barrier() {
  const reached = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => open.resolve(),
    async pass(): Promise<void> {
      reached.resolve();
      await open.promise;
    },
  };
}

const never = () => new Promise<never>(() => {});

withRedis('a value of before is not given', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  let postgres: Harness;
  /** Others of the same deployment. */
  let other: Instance;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
    postgres = await openPostgres();
    other = openInstance(postgres.storage, entrance);
  });
  afterAll(async () => {
    await bridge.close();
    await postgres.close();
  });

  const agentOf = async (device: DeviceId, by: Storage = other.storage) =>
    (await by.getLock(device)).lock?.agent ?? null;
  /** Reads until it is kept, and sees that it is. */
  const warm = async (device: DeviceId): Promise<void> => {
    await agentOf(device);
    await other.settled();
    other.told.length = 0;
    await agentOf(device);
    expect(other.told).toEqual(['hit']);
  };
  /** A device that everybody knows to be held, and the cache too. */
  const held = async (agent = 'before'): Promise<DeviceId> => {
    const device = newDevice();
    await other.storage.setLock(device, hold(agent), anyway);
    await warm(device);
    return device;
  };
  /** As if so much time had gone by in Redis. */
  const lapse = async (): Promise<void> => {
    for (const key of (await bridge.redis.send(['KEYS', '*'])) as string[]) {
      for (const field of (await bridge.redis.send(['HKEYS', key])) as string[])
        if (field.startsWith('m:')) await bridge.redis.send(['HSET', key, field, '1']);
    }
  };
  /** An instance that is held up where it sends a script. */
  const stopping = (script: string, pass: () => Promise<void>): Instance =>
    openInstance(postgres.storage, entrance, {
      wire: (send: SendCommand) => async (words) => {
        if (words[1] === script) await pass();
        return send(words);
      },
    });

  it('while a writer is at work', async () => {
    const device = await held();
    const at = barrier();
    const writer = stopping(SETTLE, at.pass);
    const written = writer.storage.setLock(device, hold('after'), anyway);
    await at.reached;
    expect(await agentOf(device)).toBe('after');
    at.open();
    await written;
    expect(await agentOf(device)).toBe('after');
    expect(other.told.slice(-2)).toEqual(['passed', 'miss']);
  });

  it('after a writer died before it wrote: once its mark has lapsed the cache serves again', async () => {
    const device = await held();
    const writer = openInstance({ ...postgres.storage, setLock: never }, entrance);
    void writer.storage.setLock(device, hold('never'), anyway);
    await expect
      .poll(async () => [await agentOf(device), other.told.at(-1)])
      .toEqual(['before', 'passed']);
    await lapse();
    await warm(device);
  });

  it('after a writer died between the database and the cache, before its mark lapses and after', async () => {
    const device = await held();
    void stopping(SETTLE, never).storage.setLock(device, hold('after'), anyway);
    await expect.poll(() => agentOf(device, postgres.storage)).toBe('after');
    expect(await agentOf(device)).toBe('after');
    await lapse();
    expect(await agentOf(device)).toBe('after');
    await warm(device);
  });

  it.each(['is kept', 'was thrown away', 'has ended, and another reader fills its place'])(
    'that a slow reader brings after the write is done, while the new one %s',
    async (fate) => {
      const device = await held();
      await bridge.redis.send(['FLUSHALL']);
      const at = barrier();
      const slow = stopping(FILL, at.pass);
      expect(await agentOf(device, slow.storage)).toBe('before');
      await at.reached;
      await other.storage.setLock(device, hold('after'), anyway);
      if (fate !== 'is kept') await bridge.redis.send(['FLUSHALL']);
      if (fate.startsWith('has ended')) await agentOf(device, stopping(FILL, never).storage);
      at.open();
      await slow.settled();
      expect(await agentOf(device)).toBe('after');
    },
  );

  it('that a slow writer brings after another wrote', async () => {
    const device = await held();
    const at = barrier();
    const slow = stopping(SETTLE, at.pass);
    const written = slow.storage.setLock(device, hold('first'), anyway);
    await at.reached;
    await other.storage.setLock(device, hold('second'), anyway);
    at.open();
    await written;
    expect(await agentOf(device)).toBe('second');
    await warm(device);
    expect(await agentOf(device)).toBe('second');
  });

  it('by a writer whose mark is gone: Redis came back empty, and a reader filled it before the write', async () => {
    const device = await held();
    const at = barrier();
    const inner: Storage = {
      ...postgres.storage,
      async setLock(...args) {
        await at.pass();
        return postgres.storage.setLock(...args);
      },
    };
    const written = openInstance(inner, entrance).storage.setLock(device, hold('after'), anyway);
    await at.reached;
    await bridge.redis.restart();
    await warm(device);
    at.open();
    await written;
    expect(await agentOf(device)).toBe('after');
  });

  it('past the end of the lock: it ends before', async () => {
    const device = newDevice();
    await other.storage.setLock(device, hold('short', 5), anyway);
    await agentOf(device);
    await other.settled();
    const [key] = (await bridge.redis.send(['KEYS', `*lock:${device}`])) as string[];
    const end = Number(await bridge.redis.send(['PEXPIRETIME', key ?? '']));
    const { lock } = await postgres.storage.getLock(device);
    // both clocks are this machine's
    expect(end).toBeLessThanOrEqual(lock?.expiresAt.getTime() ?? 0);
  });

  it('where nobody knows whether the write happened: everybody asks the database', async () => {
    const device = await held();
    const inner: Storage = {
      ...postgres.storage,
      async setLock(...args) {
        await postgres.storage.setLock(...args);
        throw new BatonError('storage_unavailable', 'the answer was lost');
      },
    };
    const writer = openInstance(inner, entrance);
    await expect(writer.storage.setLock(device, hold('after'), anyway)).rejects.toThrow('lost');
    expect([await agentOf(device), other.told.at(-1)]).toEqual(['after', 'passed']);
  });

  it('and where it surely did not happen the cache serves on', async () => {
    const device = newDevice();
    const small = await openPostgres({ maxStateBytes: 100 });
    const { storage, told, settled } = openInstance(small.storage, entrance);
    const tooLarge = storage.putState(device, { text: 'x'.repeat(200) }, anyway);
    await expect(tooLarge).rejects.toThrow('MAX_STATE_BYTES');
    await storage.getState(device);
    await settled();
    await storage.getState(device);
    expect(told).toEqual(['miss', 'hit']);
    await small.close();
  });

  it('where the intent did not reach the cache: it is told after the write', async () => {
    const device = await held();
    const writer = openInstance(postgres.storage, entrance, {
      wire: (send) => async (words) => {
        if (words[1] === MARK) throw new Error('lost');
        return send(words);
      },
    });
    await writer.storage.setLock(device, hold('after'), anyway);
    await writer.settled();
    expect(await agentOf(device)).toBe('after');
  });

  it('after whatever changes locks and states on its way', async () => {
    const { storage } = other;
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
      await other.settled();
      const before = await read(postgres.storage);
      expect(await read(storage), name).toEqual(before);
      await write();
      expect(await read(storage), name).toEqual(await read(postgres.storage));
      await other.settled();
      expect(await read(storage), name).toEqual(await read(postgres.storage));
    }
  });

  it('to devices that share a conversation, nor to those who did', async () => {
    const { storage } = other;
    const [owner, guest] = [await held('owner'), await held('guest')];
    const seen = async () => [await agentOf(owner), await agentOf(guest)];
    const { link } = await storage.offerLink(owner, ['123456'], 600);
    const limits = { own: 5, all: 1_000, seconds: 600 };
    expect(await seen()).toEqual(['owner', 'guest']);
    await other.settled();
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
      await other.settled();
      expect(await seen()).toEqual([agent, agent]);
    }
    await storage.unlink(guest);
    expect(await seen()).toEqual(['third', 'guest']);
    await warm(guest);
    await storage.setLock(guest, hold('alone'), anyway);
    expect(await seen()).toEqual(['third', 'alone']);
  });

  it('of what was erased, of a device or of a user', async () => {
    const { storage } = other;
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
    const [known] = await other.storage.accept([echo({ turn: false })], terms());
    const device = known?.device ?? newDevice();
    await warm(device);
    void stopping(SETTLE, never).storage.accept([echo({ byHuman: { ttlSeconds: 60 } })], terms());
    await expect.poll(() => agentOf(device, postgres.storage)).toBe('human');
    expect([await agentOf(device), other.told.at(-1)]).toEqual(['human', 'passed']);
    await lapse();
    expect([await agentOf(device), other.told.at(-1)]).toEqual(['human', 'miss']);
    await warm(device);
  });
});
