import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from './errors.ts';
import { log } from './log.ts';
import type { Fence, Lane, Storage, Turn } from './storage/storage.ts';

/** Why an agent's signal ended. */
export class TurnEnded extends Error {
  override readonly name = 'TurnEnded';
  readonly reason: 'turn_lost' | 'deadline';

  constructor(reason: 'turn_lost' | 'deadline') {
    super(
      reason === 'turn_lost' ? 'somebody else has the turn now' : 'the time of this function is up',
    );
    this.reason = reason;
  }
}

/** A turn that is being kept alive. */
export interface Lease {
  /** Ends when the turn is lost or `endsAt` has come. */
  readonly signal: AbortSignal;
  /**
   * Whether the worker may still act towards the outside: by its own monotonic clock, counted from before the
   * last call that renewed the lease, so that a worker that was paused does not send over its successor.
   */
  holds(): boolean;
  /** A call begun at `since` has renewed the lease in passing. */
  renewed(since: number): void;
  /** Milliseconds to ask for in a call that renews the lease: never past the end of the function. */
  length(): number;
  /** Ends the renewal; the lease itself runs out, or the caller has ended it. */
  stop(): void;
}

/**
 * A lease never lasts past the end of the function that asks for it: it could not renew it then, and nobody else have the
 * turn. Milliseconds.
 *
 * @param endsAt performance.now() at which the work must be over
 */
export const leaseWithin = (leaseMs: number, endsAt: number): number =>
  Math.max(1, Math.min(leaseMs, Math.floor(endsAt - performance.now())));

/**
 * Renews a lease every third of its length until it is stopped.
 *
 * @param leaseMs milliseconds
 * @param since performance.now() before the call that took the turn
 * @param endsAt performance.now() at which the work must be over
 */
export function keepLease(
  storage: Storage,
  { device, fence }: { device: Turn['device']; fence: Fence },
  lane: Lane,
  { leaseMs, since, endsAt }: { leaseMs: number; since: number; endsAt: number },
): Lease {
  const controller = new AbortController();
  let heldUntil = since + leaseMs;
  const length = () => leaseWithin(leaseMs, endsAt);
  const renewed = (from: number) => {
    heldUntil = from + leaseMs;
  };

  const renew = async () => {
    const from = performance.now();
    try {
      if ((await storage.extend(device, fence, lane, length())) === null) {
        clearInterval(timer);
        controller.abort(new TurnEnded('turn_lost'));
      } else renewed(from);
    } catch {
      // the lease stands for two more thirds; a lapsed one that nobody took may still commit
      log('warn', 'lease_not_renewed', { device_id: device });
    }
  };
  const timer = setInterval(() => void renew(), leaseMs / 3);
  const end = setTimeout(
    () => controller.abort(new TurnEnded('deadline')),
    Math.max(0, endsAt - performance.now()),
  );
  timer.unref();

  return {
    signal: controller.signal,
    holds: () => performance.now() < heldUntil && !controller.signal.aborted,
    renewed,
    length,
    stop() {
      clearInterval(timer);
      clearTimeout(end);
    },
  };
}

/** Milliseconds between two tries while the storage is away: the first, and the longest. */
const FIRST_WAIT = 50;
const LONGEST_WAIT = 1_000;

/**
 * Repeats a call that finds its own work done, for as long as the turn is held: an answer that is there must not be
 * thrown away, and its device wait for the lease to end, because the connections were all taken for a moment.
 *
 * @throws whatever the call throws, `storage_unavailable` once the lease is over
 */
export async function whileHeld<T>(
  lease: Pick<Lease, 'holds'>,
  call: () => Promise<T>,
): Promise<T> {
  for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    try {
      return await call();
    } catch (error) {
      const isAway = error instanceof BatonError && error.code === 'storage_unavailable';
      if (!isAway || !lease.holds()) throw error;
    }
    await sleep(wait);
  }
}
