import type { CleanUp, Storage } from '../../lib/storage/storage.ts';

/** Cleans up until nothing is left to do; gives the sums. What is in which batch is the storage's own affair. */
export async function drain(
  { storage }: { storage: Pick<Storage, 'cleanUp'> },
  batch = 100,
): Promise<Omit<CleanUp, 'now' | 'more'>> {
  const sums = { expiredLocks: 0, expiredSessions: 0, purgedMessages: 0 };
  for (let more = true; more;) {
    const run = await storage.cleanUp(batch);
    sums.expiredLocks += run.expiredLocks;
    sums.expiredSessions += run.expiredSessions;
    sums.purgedMessages += run.purgedMessages;
    more = run.more;
  }
  return sums;
}
