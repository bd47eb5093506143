import type { Frame } from '../frame.ts';

/**
 * What is left of a limit, as draft-ietf-httpapi-ratelimit-headers-10 has it: of the policy the quota and its window in
 * seconds, of the limit what remains and the seconds until all of it is there again.
 */
export function rateHeaders({ rate }: Frame): Record<string, string> {
  if (rate === undefined) return {};
  return {
    'ratelimit-policy': `"messages";q=${rate.limit};w=60`,
    ratelimit: `"messages";r=${rate.left};t=${Math.ceil(rate.resetMs / 1_000)}`,
  };
}
