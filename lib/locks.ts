import type { Registry } from './agents/registry.ts';
import type { Config } from './config.ts';
import { BatonError } from './errors.ts';
import type { DeviceId, Guard, Lock, Storage } from './storage/storage.ts';

export interface LockServices {
  storage: Storage;
  config: Config;
  registry: Registry;
}

const moved = () =>
  new BatonError(
    'version_conflict',
    'The lock is not the one the condition asks for; read it again before you decide',
  );

/** The live lock, or null. */
export async function readLock({ storage }: LockServices, device: DeviceId): Promise<Lock | null> {
  return (await storage.getLock(device)).lock;
}

/**
 * Gives the conversation to an agent, of this deployment or elsewhere.
 *
 * @param ttlSeconds null: the agent's own, else the deployment's
 * @throws {BatonError} `version_conflict` when the guard does not hold; nothing was written
 */
export async function holdLock(
  { storage, config, registry }: LockServices,
  device: DeviceId,
  agent: string,
  ttlSeconds: number | null,
  guard: Guard,
): Promise<Lock> {
  const ttl = ttlSeconds ?? registry.ttlOf(agent, config.defaultSessionTtl);
  const result = await storage.setLock(device, { agent, ttlSeconds: ttl }, guard);
  if (!result.written) throw moved();
  return result.lock;
}

/** Ends the holding, if there is one. @throws {BatonError} `version_conflict` */
export async function releaseLock(
  { storage }: LockServices,
  device: DeviceId,
  guard: Guard,
): Promise<void> {
  const result = await storage.clearLock(device, guard);
  if (!result.written) throw moved();
}
