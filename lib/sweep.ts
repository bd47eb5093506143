import { type Frame, hasTime } from './frame.ts';
import { describeError, log } from './log.ts';
import type { Turn } from './storage/storage.ts';
import { type TurnServices, workOrLog } from './turn.ts';

/** Milliseconds between two looks of one instance. A look that comes too early is made when its time has come. */
const INTERVAL = 500;
/** Turns taken in one look. */
const TURNS = 4;
/** Turns of others that one instance works on at a time; one that hangs must not keep it from all the rest. */
const MOST = 16;

export interface Recovered {
  turns: number;
  replies: number;
}

/** One look for what somebody let fall, on whatever device. */
async function look(
  { storage, config }: TurnServices,
  maxTurns: number,
): Promise<{ turns: Turn[]; since: number }> {
  const since = performance.now();
  const { turns } = await storage.recover({
    requestId: crypto.randomUUID(),
    leaseMs: config.turnLease * 1_000,
    maxTurns,
  });
  if (turns.length > 0) log('info', 'recovered', { turns: turns.length });
  return { turns, since };
}

/**
 * Picks up what somebody let fall and works on it: messages whose worker was killed, replies that are due. Looks
 * until nothing is left or the frame's time is nearly up.
 */
export async function recover(services: TurnServices, frame: Frame): Promise<Recovered> {
  const recovered = { turns: 0, replies: 0 };
  while (hasTime(frame)) {
    const { turns, since } = await look(services, TURNS);
    if (turns.length === 0) break;
    for (const turn of turns) {
      recovered.replies += turn.replies.length;
      if (turn.replies.length === 0) recovered.turns++;
    }
    await Promise.all(turns.map((turn) => workOrLog(services, { turn, since }, frame)));
  }
  return recovered;
}

/**
 * A sweep that any request may ask for as often as it likes: one look at a time, at most two a second, and the
 * last one asked for always happens. What a look finds is worked on beside the next. Never rejects; the promise
 * ends when the work is done.
 */
export function createSweeper(services: TurnServices): (frame: Frame) => Promise<void> {
  let last = -Infinity;
  let active = 0;
  let looking: Promise<unknown> = Promise.resolve();
  let asked: { frame: Frame; sweep: Promise<void> } | null = null;

  const workOn = async (turn: Turn, since: number, frame: Frame): Promise<void> => {
    active++;
    await workOrLog(services, { turn, since }, frame);
    active--;
  };

  const sweep = async (): Promise<void> => {
    const early = last + INTERVAL - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    await looking;
    const frame = asked?.frame;
    asked = null;
    last = performance.now();
    if (frame === undefined || !hasTime(frame)) return;
    const works: Promise<void>[] = [];
    const lookAll = async (): Promise<void> => {
      for (let room = TURNS; room > 0;) {
        const { turns, since } = await look(services, Math.min(TURNS, MOST - active));
        for (const turn of turns) works.push(workOn(turn, since, frame));
        // a full look may have left something
        room = turns.length < TURNS ? 0 : MOST - active;
      }
    };
    if (active < MOST) {
      const looked = lookAll().catch((error: unknown) =>
        log('warn', 'sweep_failed', describeError(error)),
      );
      looking = looked;
      await looked;
    }
    await Promise.all(works);
  };

  return (frame) => {
    if (asked === null) {
      asked = { frame, sweep: Promise.resolve() };
      asked.sweep = sweep();
    } else if (frame.endsAt > asked.frame.endsAt) asked.frame = frame;
    return asked.sweep;
  };
}
