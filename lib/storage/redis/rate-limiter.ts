import { Ratelimit } from '@upstash/ratelimit';
import { Redis } from '@upstash/redis';
import type { RateLimiter } from '../../rate-limit.ts';

/** Milliseconds an answer may take: the caller waits for it before anything of its own begins. */
const PATIENCE = 250;
/** Milliseconds for which a limiter that did not answer is passed by, so that an outage costs one wait and not each. */
const REST = 10_000;

/**
 * Counts in Upstash Redis, over HTTP. One that does not answer neither lets everybody pass for ever nor stops
 * anybody: it is passed by for ten seconds, and the storage counts meanwhile.
 *
 * @param limit messages of one sender within a minute, which slides
 * @param away told when it does not answer
 */
export function createRedisLimiter(
  cache: { url: string; token: string },
  limit: number,
  away: (error: unknown) => void,
  now: () => number = () => performance.now(),
): RateLimiter {
  const redis = new Redis({
    ...cache,
    retry: false,
    // a function: with a plain signal a time-out looks like an answer
    signal: () => AbortSignal.timeout(PATIENCE),
    enableTelemetry: false,
  });
  const limiter = new Ratelimit({
    redis,
    limiter: Ratelimit.slidingWindow(limit, '60 s'),
    prefix: 'baton:rate',
    // by itself it would let everybody pass after so long
    timeout: 0,
    analytics: false,
  });
  let back = 0;
  return {
    async take(sender) {
      if (now() < back) return null;
      try {
        const { success, remaining, reset } = await limiter.limit(sender);
        const resetMs = Math.max(0, reset - Date.now());
        return {
          allowed: success,
          left: Math.max(0, remaining),
          resetMs,
          retryMs: success ? 0 : resetMs,
        };
      } catch (error) {
        back = now() + REST;
        away(error);
        return null;
      }
    },
  };
}
