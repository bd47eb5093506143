import { Ratelimit } from '@upstash/ratelimit';
import { Redis } from '@upstash/redis';
import type { RateLimiter } from '../../rate-limit.ts';
import type { Breaker } from '../breaker.ts';
import type { UpstashAccess } from '../upstash.ts';

/**
 * Counts in Upstash Redis, over HTTP. One that does not answer neither lets everybody pass for ever nor stops
 * anybody: it is passed by as the cache is, and the storage counts meanwhile.
 *
 * @param timeoutMs milliseconds an answer may take: the caller waits for it before anything of its own begins
 * @param limit messages of one sender within a minute, which slides
 * @param breaker the cache's own: what one of the two has found out the other does not wait for again
 */
export function createRedisLimiter(
  { url, token, timeoutMs }: UpstashAccess & { timeoutMs: number },
  limit: number,
  breaker: Breaker,
): RateLimiter {
  const redis = new Redis({
    url,
    token,
    retry: false,
    // a function: with a plain signal a time-out looks like an answer
    signal: () => AbortSignal.timeout(timeoutMs),
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
  return {
    async take(sender) {
      const counted = await breaker.run(() => limiter.limit(sender));
      if (counted === null) return null;
      const { success, remaining, reset } = counted;
      const resetMs = Math.max(0, reset - Date.now());
      return {
        allowed: success,
        left: Math.max(0, remaining),
        resetMs,
        retryMs: success ? 0 : resetMs,
      };
    },
  };
}
