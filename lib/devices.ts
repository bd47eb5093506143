import { signDeviceToken } from './access/device-tokens.ts';
import type { Config } from './config.ts';
import { BatonError } from './errors.ts';
import type { DeviceId, DeviceRecord, Storage } from './storage/storage.ts';

/** Sessions, and holdings, that are told of a device. */
const MOST = 100;

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
    throw new BatonError('device_not_found', 'Nothing is stored about this device');
  }
  return found.record;
}
