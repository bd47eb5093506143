import { expect } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { type Harness, newDevice } from '../support/storage.ts';

// How cases link devices.

const limits = { own: 5, all: 1_000, seconds: 600 };
let drawn = 100_000;
/** A code that no other case uses. */
export const newCode = () => String(++drawn);

export const offer = async (
  { storage }: Harness,
  device: DeviceId,
  seconds = 600,
): Promise<string> => {
  const { link } = await storage.offerLink(device, [newCode()], seconds);
  if (link === null) throw new Error('no code was given');
  return link.code;
};

export const redeem = async ({ storage }: Harness, device: DeviceId, code: string) =>
  (await storage.redeemLink(device, code, limits)).outcome;

/** A device that has joined the conversation of another. */
export const linked = async (h: Harness): Promise<{ host: DeviceId; guest: DeviceId }> => {
  const [host, guest] = [newDevice(), newDevice()];
  expect(await redeem(h, guest, await offer(h, host))).toBe('linked');
  return { host, guest };
};
