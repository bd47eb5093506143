import { randomBytes } from 'node:crypto';
import { createRunner } from '../../../lib/storage/redis/scripts.ts';
import { openUpstash } from '../../../lib/storage/redis/upstash.ts';
import { hasRedis } from '../../support/redis.ts';
import { limits } from '../../support/storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../../support/upstash-bridge.ts';
import type { Backend, Closable, Database, Killable } from '../storage.ts';
import { redisBooks } from './books.ts';
import { namesOfScripts } from './names.ts';
import { startRedisWire } from './wire.ts';

export interface RedisBackend extends Backend {
  storage: 'redis';
}

/** Messages kept of a session: nothing may go that is counted afterwards. */
const KEPT = 10_000;

/** A Redis of the run's own, behind Upstash's protocol; each database has a prefix. @throws where none is installed */
export async function startRedisBackend(): Promise<RedisBackend> {
  if (!hasRedis)
    throw new Error('redis-server is not installed (Debian: apt-get install redis-server)');
  const bridge = await startUpstashBridge();
  const entrance = await bridge.enter();
  const names = await namesOfScripts();
  return {
    storage: 'redis',
    database: () => Promise.resolve(createDatabase(bridge, entrance, names)),
    killable,
    close: () => bridge.close(),
  };
}

const newPrefix = () => `faults_${randomBytes(8).toString('hex')}:`;

const envOf = ({ url, token }: Pick<UpstashEntrance, 'url' | 'token'>, prefix: string) => ({
  STORAGE: 'redis',
  UPSTASH_REDIS_REST_URL: url,
  UPSTASH_REDIS_REST_TOKEN: token,
  REDIS_KEY_PREFIX: prefix,
  SESSION_MAX_MESSAGES_KEPT: String(KEPT),
});

function createDatabase(
  { redis, enter }: UpstashBridge,
  entrance: UpstashEntrance,
  names: ReadonlyMap<string, string>,
): Database & Closable {
  const prefix = newPrefix();
  const runner = createRunner(openUpstash(entrance), { prefix, kept: KEPT, limits });
  const { url, token } = entrance;
  const target = {
    url,
    names,
    async knows(sha: string) {
      const reply = await redis.send(['SCRIPT', 'EXISTS', sha]);
      return Array.isArray(reply) && reply[0] === 1;
    },
    envAt: (wireUrl: string) => envOf({ url: wireUrl, token }, prefix),
  };
  const wire = () => startRedisWire(target);
  return {
    env: envOf(entrance, prefix),
    ...redisBooks(redis, runner, prefix),
    wire,
    losing: async () => [await wire()],
    async breakable() {
      const { cut, hang, resume, close, ...own } = await enter();
      return { env: envOf(own, prefix), cut, hang, resume, close };
    },
    close: () => Promise.resolve(), // its keys go with the server
  };
}

/** It keeps nothing on disk: what starts again is empty. */
async function killable(): Promise<Killable> {
  const { redis, enter, close } = await startUpstashBridge();
  const env = envOf(await enter(), newPrefix());
  return { name: 'Redis', env, kill: redis.kill, start: redis.restart, close };
}
