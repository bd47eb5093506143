import { afterAll, beforeAll, expect } from 'vitest';
import type { SendCommand } from '../../lib/storage/cache/upstash.ts';
import type { DeviceId, Storage } from '../../lib/storage/storage.ts';
import { type Instance, openInstance } from '../support/cached.ts';
import { type Harness, newDevice, openPostgres } from '../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

export const anyway = { kind: 'none' } as const;
export const hold = (agent: string, ttlSeconds = 600) => ({ agent, ttlSeconds });

export const never = () => new Promise<never>(() => {});

/** PostgreSQL with a cache in front, for all tests of a group, and instances of one deployment over both. */
export function cacheOfTests() {
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

  return {
    get bridge() {
      return bridge;
    },
    get entrance() {
      return entrance;
    },
    get postgres() {
      return postgres;
    },
    get other() {
      return other;
    },
    agentOf,
    warm,
    held,
    lapse,
    stopping,
  };
}
