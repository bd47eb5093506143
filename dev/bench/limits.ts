import type { StorageLimits } from '../../lib/storage/limits.ts';

/** As a deployment has them that sets nothing. */
export const limits: StorageLimits = {
  history: 20,
  maxAttempts: 5,
  resendAfterMs: 120_000,
  sessionTtl: 3_600,
  completedTtl: 86_400,
  maxStateBytes: 1_048_576,
  retentionDays: 30,
};
