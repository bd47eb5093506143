import type { Rate } from '../storage.ts';
import type { Device } from './tables.ts';

/** Milliseconds of messages that may be let in ahead. */
const SPAN = 60_000;

/** What a limit has left: a generic cell rate algorithm, each message counting for a minute's part. */
export function rateOf({ rateUntil }: Device, perMinute: number, now: number): Rate {
  const ahead = Math.max(0, rateUntil - now);
  const each = SPAN / perMinute;
  return {
    left: Math.max(0, Math.floor((SPAN - ahead) / each + 0.001)),
    resetMs: Math.ceil(ahead),
    retryMs: Math.ceil(Math.max(0, ahead + each - SPAN)),
  };
}

/** Counts one more. */
export function countMessage(device: Device, perMinute: number, now: number): void {
  device.rateUntil = Math.max(device.rateUntil, now) + SPAN / perMinute;
}
