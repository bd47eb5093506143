import type { Storage } from '../storage.ts';
import { answerOperations } from './answers.ts';
import { sessionOperations } from './chat-sessions.ts';
import { upkeepOperations } from './clean-up.ts';
import { commitOperations } from './commits.ts';
import { deliveryOperations } from './deliveries.ts';
import { deviceOperations } from './devices.ts';
import { erasingOperations } from './erasing.ts';
import { failedOperations } from './failed.ts';
import { figureOperations } from './figures.ts';
import { grantOperations } from './grants.ts';
import { historyOperations } from './histories.ts';
import { leaseOperations } from './leases.ts';
import { linkingOperations } from './linking.ts';
import { lockOperations } from './locks.ts';
import { createRunner, type Settings } from './scripts.ts';
import { stateOperations } from './states.ts';
import { statusOperations } from './statuses.ts';
import { openUpstash, type Send } from './upstash.ts';

/**
 * Everything in Upstash Redis: each operation is one Lua script, and so one round trip in which nobody else writes.
 * Keys end by themselves, RETENTION_DAYS after their device was last heard of.
 *
 * It takes one Redis, as Upstash is one: the keys of a device share a hash slot, those over all devices do not.
 */
export function openRedis(access: { url: string; token: string }, settings: Settings): Storage {
  return createRedisStorage(openUpstash(access), settings);
}

/** @param send a test's own way to Redis */
export function createRedisStorage(send: Send, settings: Settings): Storage {
  const runner = createRunner(send, settings);
  return {
    ...lockOperations(runner),
    ...stateOperations(runner),
    ...grantOperations(runner),
    ...leaseOperations(runner),
    ...commitOperations(runner),
    ...deliveryOperations(runner),
    ...statusOperations(runner),
    ...answerOperations(runner),
    ...failedOperations(runner),
    ...sessionOperations(runner),
    ...historyOperations(runner),
    ...deviceOperations(runner),
    ...erasingOperations(runner),
    ...linkingOperations(runner),
    ...figureOperations(),
    ...upkeepOperations(runner),
  };
}
