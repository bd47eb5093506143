import { describeError, log } from './log.ts';
import type { Turn } from './storage/storage.ts';
import { type Frame, type TurnServices, work } from './turn.ts';

/** Milliseconds between two looks of one instance. A look that comes too early is made when its time has come. */
const INTERVAL = 500;
/** Turns taken in one look, and so leases that one call keeps. */
const TURNS = 4;

export interface Recovered {
  turns: number;
  replies: number;
}

/**
 * Picks up what somebody let fall, on whatever device, and works on it: messages whose worker was killed, replies
 * that are due. Looks until nothing is left or the frame's time is up.
 */
export async function recover(services: TurnServices, frame: Frame): Promise<Recovered> {
  const recovered = { turns: 0, replies: 0 };
  for (let found: Turn[]; performance.now() < frame.endsAt;) {
    const since = performance.now();
    const terms = {
      requestId: crypto.randomUUID(),
      leaseMs: services.config.turnLease * 1_000,
      maxTurns: TURNS,
    };
    found = (await services.storage.recover(terms)).turns;
    if (found.length === 0) break;
    for (const turn of found) {
      recovered.replies += turn.replies.length;
      if (turn.replies.length === 0) recovered.turns++;
    }
    log('info', 'recovered', { turns: found.length });
    await Promise.all(found.map((turn) => work(services, { turn, since }, frame)));
  }
  return recovered;
}

/**
 * A sweep that any request may ask for as often as it likes: one at a time, at most two a second, and the last one
 * asked for always happens. Never rejects.
 */
export function createSweeper(services: TurnServices): (frame: Frame) => Promise<void> {
  let last = -Infinity;
  let waiting: Promise<void> | null = null;
  return (frame) => {
    waiting ??= (async () => {
      const early = last + INTERVAL - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      last = performance.now();
      waiting = null;
      try {
        await recover(services, frame);
      } catch (error) {
        log('warn', 'sweep_failed', describeError(error));
      }
    })();
    return waiting;
  };
}
