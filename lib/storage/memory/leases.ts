import type { DeviceId, Fence, Lane } from '../storage.ts';
import type { Synchronous } from './operations.ts';
import { drawFence, type Grant, type Memory, turnDevice } from './tables.ts';
import { countAttempt, isSending } from './turns.ts';

/** How a turn is kept alive, and how it ends without an answer. */
export function leaseOperations({
  tables,
  limits,
  now: clock,
}: Memory): Pick<Synchronous, 'extend' | 'giveBack' | 'fail'> {
  const newest = (id: DeviceId, fence: Fence, lane?: Lane) => {
    const device = tables.devices.get(turnDevice(tables, id, fence));
    const grant = device?.grant;
    if (device === undefined || grant?.fence !== fence) return null;
    return lane === undefined || grant.lane === lane ? { device, grant } : null;
  };
  const release = (grant: Grant, endsAt: number | null) => {
    grant.endsAt = endsAt;
    grant.handed = [];
  };
  return {
    extend(id, fence, lane, leaseMs) {
      const now = clock();
      const found = newest(id, fence, lane);
      if (found === null || found.grant.endsAt === null) return null;
      found.grant.endsAt = now + leaseMs;
      return { now: new Date(now), expiresAt: new Date(found.grant.endsAt) };
    },
    // given back twice is given back; after a commit there is nothing to give
    giveBack(id, fence, lane) {
      const found = newest(id, fence, lane);
      if (found === null || isSending(found.device)) return false;
      release(found.grant, null);
      return true;
    },
    // until the next try nobody holds the turn and nobody may take it: the fence is nobody's
    fail(id, fence, error) {
      const now = clock();
      const found = newest(id, fence);
      if (found === null || found.grant.endsAt === null || isSending(found.device)) return null;
      const { grant } = found;
      const attempts = countAttempt(grant.handed, error, limits.maxAttempts);
      const retryAt = attempts === null ? null : now + Math.min(4 ** (attempts - 1), 64) * 1_000;
      Object.assign(grant, { fence: drawFence(tables), owner: null });
      release(grant, retryAt);
      return { now: new Date(now), retryAt: retryAt === null ? null : new Date(retryAt) };
    },
  };
}
