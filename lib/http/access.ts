import { type Holder, verifyDeviceToken } from '../access/device-tokens.ts';
import type { Config } from '../config.ts';
import { BatonError } from '../errors.ts';
import { matchesAny } from '../secrets.ts';
import type { DeviceId } from '../storage/storage.ts';
import { parseDeviceId } from './device-id.ts';
import type { Access } from './operations.ts';

/** For whom a call is made: the holder of a device token, or (device null) somebody who may speak for any device. */
export type Caller = Holder | { device: null; user: null };

const ANYBODY: Caller = { device: null, user: null };

/** The token of `Authorization: Bearer …`, or null. */
export function bearerOf(headers: Headers): string | null {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null;
}

/**
 * Lets a call pass and says for whom it is made, or throws. In open mode everybody may call; a device token is
 * looked at all the same, so that a page meets there what it will meet in production.
 *
 * @throws {BatonError} `unauthorized`, `forbidden`, `wrong_device`; in production `not_configured` rather than
 *   standing open
 */
export async function identify(headers: Headers, config: Config, access: Access): Promise<Caller> {
  if (access === 'public' || access === 'signature') return ANYBODY;
  const token = bearerOf(headers);
  if (access === 'cron') {
    if (token !== null && matchesAny(token, config.cronSecrets)) return ANYBODY;
    throw new BatonError('unauthorized', 'Send CRON_SECRET as Authorization: Bearer');
  }
  assertConfigured(config);
  if (token !== null && matchesAny(token, config.apiKeys)) return ANYBODY;
  const holder = token === null ? null : await verifyDeviceToken(token, config);
  if (holder !== null) return admit(holder, headers, access);
  if (config.openMode || (access === 'newcomer' && !headers.has('authorization'))) return ANYBODY;
  throw new BatonError(
    'unauthorized',
    access === 'operator'
      ? 'Send an API key as Authorization: Bearer'
      : 'Send an API key, or a device token of POST /api/device that has not expired, as Authorization: Bearer',
  );
}

function assertConfigured({ production, apiKeys, deviceTokenSecrets }: Config): void {
  if (!production || (apiKeys.length > 0 && deviceTokenSecrets.length > 0)) return;
  throw new BatonError(
    'not_configured',
    'Set API_KEYS and DEVICE_TOKEN_SECRET: production does not stand open without them',
  );
}

function admit(holder: Holder, headers: Headers, access: Access): Holder {
  if (access === 'operator') {
    throw new BatonError('forbidden', 'A device token is not enough here: send an API key');
  }
  const named = headers.get('x-device-id');
  if (named !== null) assertOwn(holder, parseDeviceId(named));
  return holder;
}

/** @throws {BatonError} `wrong_device` for a device that is not the caller's own */
export function assertOwn(caller: Caller, device: DeviceId): void {
  if (caller.device === null || caller.device === device) return;
  throw new BatonError(
    'wrong_device',
    'The device token is of another device: send its own as X-Device-ID, or an API key',
  );
}

/**
 * The user of what a caller begins: whoever is logged in. To name another takes an API key, because what is begun
 * counts against that user and stands in their list.
 *
 * @param named the user that the call names, or null
 * @throws {BatonError} `forbidden`
 */
export function userOf(caller: Caller, named: string | null): string | null {
  if (caller.device === null || named === null || named === caller.user) {
    return named ?? caller.user;
  }
  throw new BatonError(
    'forbidden',
    'The user_id is not the one of the device token: log in with a user_token at POST /api/device, or send an API key',
  );
}
