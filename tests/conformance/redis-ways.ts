import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { openRedis } from '../../lib/storage/redis/redis-storage.ts';
import type { NewSession } from '../../lib/storage/storage.ts';
import { openRedisAt } from '../support/redis-storage.ts';
import { limits, newDevice } from '../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

// For what the suite does not ask of a storage, because it is Redis's own: the tests that look at a Redis from outside.

/** A Redis for all tests of a group, storages in it, and what lies there. */
export function redisOfTests() {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
  });
  afterAll(() => bridge.close());

  const send = (command: string[]) => bridge.redis.send(command);
  return {
    /** A storage that nobody else is in. @param kept messages of a session */
    open: (kept = 100) => openRedisAt(() => entrance, { kept }),
    /** The storage under a prefix. */
    at: (prefix: string, some = limits) => openRedis(entrance, { prefix, kept: 100, limits: some }),
    /** Another way to the same Redis, which can be cut. */
    enter: () => bridge.enter(),
    entrance: () => entrance,
    /** Sends one command past the storage. */
    send,
    keysOf: async (prefix: string) => (await send(['KEYS', `${prefix}*`])) as string[],
    /** Milliseconds. */
    lifeOf: async (key: string) => Number(await send(['PTTL', key])),
    /** The requests that a call makes, and the commands in them. */
    async trips(call: () => Promise<unknown>) {
      entrance.reset();
      await call();
      return [entrance.count(), entrance.commands()];
    },
  };
}

/** One that can be begun, of a device of its own. */
export const newSession = (): NewSession => ({
  id: randomUUID(),
  device: newDevice(),
  user: null,
  channel: 'api',
  metadata: {},
  ttlSeconds: null,
});
