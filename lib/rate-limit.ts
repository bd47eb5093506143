import type { Config } from './config.ts';
import { BatonError } from './errors.ts';
import type { Frame } from './frame.ts';
import type { AcceptedDevice, Rate } from './storage/storage.ts';

// How many messages a device may send in a minute. WhatsApp's pass it by: what a person wrote there is stored.

/** Counts outside the database, so that a flood does not reach it. */
export interface RateLimiter {
  /**
   * Counts one more message, within a bounded time.
   *
   * @returns null: it cannot be reached, and whoever stores the message counts
   */
  take(name: string): Promise<(Rate & { allowed: boolean }) | null>;
}

interface Services {
  config: Config;
  limiter?: RateLimiter | null;
}

/**
 * Counts a message before it is stored where a limiter is there to do it; else ACCEPT does, by what this gives.
 *
 * @param sender the device, or the chat session, that the message comes from
 * @returns of an incoming message, by which ACCEPT counts it
 * @throws {BatonError} `rate_limited`; nothing was stored
 */
export async function countMessage(
  { config: { rateLimit: limit }, limiter = null }: Services,
  sender: string,
  frame: Frame,
): Promise<{ perMinute?: number }> {
  if (limit === 0) return {};
  const rate = (await limiter?.take(sender)) ?? null;
  if (rate === null) return { perMinute: limit };
  frame.rate = { ...rate, limit };
  if (!rate.allowed) throw tooFast(rate);
  return {};
}

/** Notes what ACCEPT counted. */
export function noteRate({ config }: Services, { rate }: AcceptedDevice, frame: Frame): void {
  if (rate !== undefined) frame.rate = { ...rate, limit: config.rateLimit };
}

export const tooFast = ({ retryMs = 1_000 }: Partial<Rate>): BatonError =>
  new BatonError(
    'rate_limited',
    'Too many messages within a minute; this one was not stored. Send it again when Retry-After is over',
    [],
    Math.max(1, Math.ceil(retryMs / 1_000)),
  );
