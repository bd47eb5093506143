import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { DeviceId, Storage } from '../../lib/storage/storage.ts';
import { openInstance } from '../support/cached.ts';
import { withRedis } from '../support/redis.ts';
import { type Harness, newDevice, openPostgres } from '../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

/** Milliseconds for which the mark of a writer that died keeps readers away. */
const LEASE = 500;
const READERS = 8;
const WRITERS = 4;
const READS = 1_000;
const DEVICES = 12;

const someMs = (most: number) => () => Math.random() * most;

/** One instance of a deployment, on a wire of its own. */
type OpenInstance = (inner: Storage) => Pick<Storage, 'getLock' | 'setLock' | 'clearLock'>;

/**
 * What was written to each device: by one writer, one after the other. A read that begins after a write is known to
 * have happened is stale if it gives what stood before.
 */
class Ledger {
  readonly #written = new Map<DeviceId, { agents: (string | null)[]; done: number }>();

  begin(device: DeviceId, agent: string | null): () => void {
    const record = this.#written.get(device) ?? { agents: [null], done: 0 };
    this.#written.set(device, record);
    const place = record.agents.push(agent) - 1;
    return () => void (record.done = place);
  }

  done(device: DeviceId): number {
    return this.#written.get(device)?.done ?? 0;
  }

  /** @param since the last write that had happened when the read began */
  isStale(device: DeviceId, since: number, agent: string | null): boolean {
    return !(this.#written.get(device)?.agents ?? [null]).slice(since).includes(agent);
  }
}

/** A wire to the database that takes some time each way. */
const delayed = (inner: Storage): Storage => {
  const slow =
    <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      await sleep(someMs(10)());
      const result = await call(...args);
      await sleep(someMs(10)());
      return result;
    };
  return {
    ...inner,
    getLock: slow(inner.getLock),
    setLock: slow(inner.setLock),
    clearLock: slow(inner.clearLock.bind(inner)),
  };
};

/** Agents that come and go on a few devices, and who reads of it. Gives how many reads were stale. */
async function play(
  postgres: Storage,
  open: OpenInstance,
  { kills = false }: { kills?: boolean } = {},
): Promise<number> {
  const ledger = new Ledger();
  const all = Array.from({ length: WRITERS }, () =>
    Array.from({ length: DEVICES / WRITERS }, newDevice),
  );
  const reading = { readers: READERS };

  const write = async (
    device: DeviceId,
    agent: string | null,
    isKilled: boolean,
  ): Promise<void> => {
    const inner = delayed(postgres);
    const done = ledger.begin(device, agent);
    const started = performance.now();
    const dead = Promise.withResolvers<void>();
    const dies = async <T>(result: Promise<T>): Promise<T> => {
      const written = await result;
      if (!isKilled) return written;
      // where this machine held it up for longer than its mark counts, nothing is promised
      if (performance.now() - started < LEASE) done();
      dead.resolve();
      return new Promise(() => {});
    };
    const instance = open({
      ...inner,
      setLock: (...args) => dies(inner.setLock(...args)),
      clearLock: (...args) => dies(inner.clearLock(...args)),
    });
    const acknowledged = async (): Promise<void> => {
      if (agent === null) await instance.clearLock(device, { kind: 'none' });
      else await instance.setLock(device, { agent, ttlSeconds: 600 }, { kind: 'none' });
      done();
    };
    await Promise.race([acknowledged(), dead.promise]);
  };
  const writer = async (devices: DeviceId[]): Promise<void> => {
    for (let i = 0; reading.readers > 0; i++) {
      const device = devices[i % devices.length] ?? newDevice();
      await write(device, i % 3 === 2 ? null : `agent-${i}`, kills && i % 2 === 1);
      await sleep(someMs(30)());
    }
  };
  const reader = async (): Promise<number> => {
    const instance = open(delayed(postgres));
    const devices = all.flat();
    let stale = 0;
    for (let i = 0; i < READS / READERS; i++) {
      const device = devices[Math.floor(Math.random() * devices.length)] ?? newDevice();
      const since = ledger.done(device);
      const { lock } = await instance.getLock(device);
      if (ledger.isStale(device, since, lock?.agent ?? null)) stale++;
    }
    reading.readers--;
    return stale;
  };
  const readers = Promise.all(Array.from({ length: READERS }, reader));
  await Promise.all(all.map(writer));
  return (await readers).reduce((sum, stale) => sum + stale, 0);
}

/** The cache that many have: deleted after the write, filled after the read. */
const deleteAfterWrite = (): OpenInstance => {
  const entries = new Map<DeviceId, Awaited<ReturnType<Storage['getLock']>>>();
  return (inner) => ({
    async getLock(device) {
      await sleep(someMs(10)());
      const cached = entries.get(device);
      if (cached !== undefined) return cached;
      const read = await inner.getLock(device);
      await sleep(someMs(10)());
      entries.set(device, read);
      return read;
    },
    async setLock(device, ...args) {
      const result = await inner.setLock(device, ...args);
      await sleep(someMs(10)());
      entries.delete(device);
      return result;
    },
    async clearLock(device, ...args) {
      const result = await inner.clearLock(device, ...args);
      await sleep(someMs(10)());
      entries.delete(device);
      return result;
    },
  });
};

withRedis(`${READS} reads by ${READERS} readers, ${WRITERS} writers, slow wires`, () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  let postgres: Harness;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
    entrance.delay(someMs(10));
    postgres = await openPostgres();
  });
  afterAll(async () => {
    await bridge.close();
    await postgres.close();
  });
  beforeEach(() => bridge.redis.send(['FLUSHALL']));

  const told: string[] = [];
  const open: OpenInstance = (inner) =>
    openInstance(inner, entrance, {
      leaseMs: LEASE,
      notice: (event) => void told.push(event),
    }).storage;
  const count = (event: string) => told.filter((one) => one === event).length;
  beforeEach(() => void told.splice(0));

  it('none is stale', async () => {
    expect(await play(postgres.storage, open)).toBe(0);
    expect(count('hit')).toBeGreaterThan(READS / 4);
    expect(count('unreachable')).toBe(0);
  });

  it('none is stale where every other writer dies between database and cache', async () => {
    expect(await play(postgres.storage, open, { kills: true })).toBe(0);
    expect(count('hit')).toBeGreaterThan(READS / 100);
    expect(count('unreachable')).toBe(0);
  });

  it('none is stale where Redis comes back empty in the middle', async () => {
    const restarts = setInterval(() => void bridge.redis.send(['FLUSHALL']), 100);
    try {
      expect(await play(postgres.storage, open)).toBe(0);
    } finally {
      clearInterval(restarts);
    }
    expect(count('hit')).toBeGreaterThan(READS / 100);
  });

  it('hundreds would be, of a cache that is deleted after the write', async () => {
    const stale = await play(postgres.storage, deleteAfterWrite(), { kills: true });
    expect(stale).toBeGreaterThan(READS / 20);
  });
});
