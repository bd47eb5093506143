import { signDeviceToken } from './access/device-tokens.ts';
import type { Config } from './config.ts';
import { BatonError } from './errors.ts';
import { log } from './log.ts';
import type { DeviceId, DeviceRecord, Receipt, Storage } from './storage/storage.ts';

/** Sessions, and holdings, that are told of a device. */
const MOST = 100;

/** Devices of a user that are erased in one statement; the next ones in another. */
const AT_ONCE = 20;

interface Services {
  storage: Storage;
  config: Config;
}

/** A device and the token that speaks for it. */
export interface Registration {
  device: DeviceId;
  user: string | null;
  token: string;
  expiresAt: Date;
}

/**
 * Makes a device known and gives it a token. Not to be repeated blindly with a device of the caller's own: where the
 * first try was carried out, the second is refused.
 *
 * @param user who is logged in; their identity provider has said so
 * @throws {BatonError} `device_exists`, `not_configured`
 */
export async function registerDevice(
  { storage, config }: Services,
  device: DeviceId,
  user: string | null,
): Promise<Registration> {
  // first the token: a device that is known and has none would be lost to its owner
  const signed = await signDeviceToken(config, { device, user });
  if (!(await storage.registerDevice(device))) {
    throw new BatonError(
      'device_exists',
      'Something is known of this device: register another, or send its own token to get a new one',
    );
  }
  return { device, user, ...signed };
}

/** A new token for a device whose own was shown; of whoever is logged in now. */
export async function renewRegistration(
  { config }: Pick<Services, 'config'>,
  device: DeviceId,
  user: string | null,
): Promise<Registration> {
  return { device, user, ...(await signDeviceToken(config, { device, user })) };
}

/**
 * What is stored about a device.
 *
 * @param user of its chat sessions only this user's; null: all
 * @throws {BatonError} `device_not_found`
 */
export async function readDevice(
  { storage }: Pick<Services, 'storage'>,
  device: DeviceId,
  user: string | null,
): Promise<DeviceRecord> {
  const found = await storage.readDevice(device, user, MOST);
  if (found === null) {
    throw new BatonError(
      'device_not_found',
      'Nothing is stored about this device; send its first message, or another X-Device-ID',
    );
  }
  return found.record;
}

/**
 * Erases everything of a device: lock, state, chat sessions, messages, who held it, and which numbers lead to it. Of the
 * one it is linked to as well. May be repeated; whoever speaks for the device again begins afresh.
 *
 * @throws {BatonError} `storage_unavailable`: it was erased, or nothing was; call again
 */
export async function eraseDevice(
  { storage }: Pick<Services, 'storage'>,
  device: DeviceId,
): Promise<Receipt & { erasedAt: Date }> {
  const { now, receipt } = await storage.eraseDevice(device);
  log('info', 'erased', { device_id: device, ...receipt });
  return { ...receipt, erasedAt: now };
}

/**
 * Erases every device on which a user has chat sessions; where others have some on the same device, the user's own
 * sessions alone. May be repeated.
 *
 * @throws {BatonError} `storage_unavailable`: some of it was erased; call again
 */
export async function eraseUser(
  { storage }: Pick<Services, 'storage'>,
  user: string,
): Promise<Receipt & { erasedAt: Date }> {
  const sum: Receipt = {
    devices: 0,
    shared: 0,
    sessions: 0,
    messages: 0,
    holdings: 0,
    identities: 0,
  };
  for (;;) {
    const { now, receipt, more } = await storage.eraseUser(user, AT_ONCE);
    for (const count of Object.keys(sum) as (keyof Receipt)[]) sum[count] += receipt[count];
    if (more) continue;
    // whose, nobody must be able to read in a log
    log('info', 'erased', { ...sum });
    return { ...sum, erasedAt: now };
  }
}
