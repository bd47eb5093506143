import { randomInt } from 'node:crypto';
import { BatonError } from './errors.ts';
import type { DeviceId, LinkLimits, Storage } from './storage/storage.ts';

// One conversation on several devices: one gives a code, another redeems it.

interface Services {
  storage: Storage;
}

/** Seconds a code is good for. */
const CODE_SECONDS = 600;

/**
 * A code has a million values. While it is good, all devices together try at most a hundred wrong ones (two windows
 * touch it): somebody who guesses opens a given conversation once in ten thousand codes, however many devices they make.
 */
const LIMITS: LinkLimits = { own: 5, all: 50, seconds: CODE_SECONDS };

const newCode = (): string => String(randomInt(1_000_000)).padStart(6, '0');

/**
 * Gives the device's conversation a code; the one before is good no more.
 *
 * @throws {BatonError} `storage_unavailable`
 */
export async function offerLink(
  { storage }: Services,
  device: DeviceId,
): Promise<{ code: string; expiresAt: Date }> {
  const codes = Array.from({ length: 5 }, newCode);
  const { link } = await storage.offerLink(device, codes, CODE_SECONDS);
  if (link === null) {
    throw new BatonError('rate_limited', 'Too many codes are good at the moment; ask again later');
  }
  return link;
}

/**
 * Lets the device join the conversation a code opens. May be repeated.
 *
 * @throws {BatonError} `link_code_invalid`, `rate_limited` after five wrong ones, `invalid_request` for its own code
 */
export async function redeemLink(
  { storage }: Services,
  device: DeviceId,
  code: string,
): Promise<void> {
  switch ((await storage.redeemLink(device, code, LIMITS)).outcome) {
    case 'linked':
      return;
    case 'own':
      throw new BatonError('invalid_request', 'Redeem the code on another device', [
        { path: 'code', message: 'is of this very conversation' },
      ]);
    case 'invalid':
      throw new BatonError(
        'link_code_invalid',
        'The code is wrong, older than ten minutes, or used: ask the other device for a new one',
      );
    case 'too_many':
      throw new BatonError(
        'rate_limited',
        'Too many wrong codes were tried; try again in ten minutes, with a new one',
        [],
        CODE_SECONDS,
      );
  }
}
