import { type Frame, hasTime } from './frame.ts';
import { describeError, log } from './log.ts';
import { type Held, leaseFor, type TurnServices, workOrLog } from './turn.ts';

/** Milliseconds between two looks of one instance. A look that comes too early is made when its time has come. */
const INTERVAL = 500;
/** Turns of others that one instance works on at a time. */
const TURNS = 4;
/** Milliseconds after which a turn counts for that no more: an agent that hangs must not keep it from all the rest. */
const SLOW = 10_000;
/** With those. */
const MOST = 16;

export interface Recovered {
  turns: number;
  replies: number;
}

/** One look for what somebody let fall, on whatever device. */
async function look(
  { storage, config }: TurnServices,
  maxTurns: number,
  frame: Frame,
): Promise<Held[]> {
  const since = performance.now();
  const { turns } = await storage.recover(
    { requestId: crypto.randomUUID(), leaseMs: leaseFor(config, frame), maxTurns },
    // who answers at once has one message, and the rest of what is being written comes with another turn
    config.burstWindowMs,
  );
  if (turns.length > 0) log('info', 'recovered', { turns: turns.length });
  return turns.map((turn) => ({ turn, since }));
}

/**
 * Picks up what somebody let fall and works on it: messages whose worker was killed, replies that are due. Looks
 * until nothing is left or the frame's time is nearly up.
 */
export async function recover(services: TurnServices, frame: Frame): Promise<Recovered> {
  const recovered = { turns: 0, replies: 0 };
  while (hasTime(frame)) {
    const found = await look(services, TURNS, frame);
    if (found.length === 0) break;
    for (const { turn } of found) {
      recovered.replies += turn.replies.length;
      if (turn.replies.length === 0) recovered.turns++;
    }
    await Promise.all(found.map((held) => workOrLog(services, held, frame)));
  }
  return recovered;
}

/**
 * A sweep that any request may ask for as often as it likes: one look at a time, and a new one at most twice a second;
 * the last one asked for always happens. Never rejects; the promise ends when the work is done.
 */
export function createSweeper(services: TurnServices): (frame: Frame) => Promise<void> {
  let last = -Infinity;
  let looking: Promise<unknown> = Promise.resolve();
  let asked: { frame: Frame; sweep: Promise<void> } | null = null;
  const active = new Set<Held>();

  const room = (): number => {
    const quick = [...active].filter(({ since }) => performance.now() - since < SLOW);
    return Math.min(TURNS - quick.length, MOST - active.size);
  };
  const workOn = async (held: Held, frame: Frame): Promise<void> => {
    active.add(held);
    await workOrLog(services, held, frame);
    active.delete(held);
  };

  /** Goes on for as long as there may be more: where a look found all it had room for. */
  const workAll = async (frame: Frame): Promise<void> => {
    for (let most = room(); most > 0 && hasTime(frame); most = room()) {
      last = performance.now();
      const looked = look(services, most, frame);
      looking = looked.catch(() => {});
      const found = await looked;
      await Promise.all(found.map((held) => workOn(held, frame)));
      if (found.length < most) return;
      await looking;
    }
  };

  const sweep = async (): Promise<void> => {
    const early = last + INTERVAL - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    await looking;
    const frame = asked?.frame;
    asked = null;
    last = performance.now();
    if (frame === undefined) return;
    await workAll(frame).catch((error: unknown) =>
      log('warn', 'sweep_failed', describeError(error)),
    );
  };

  return (frame) => {
    if (asked === null) {
      asked = { frame, sweep: Promise.resolve() };
      asked.sweep = sweep();
    } else if (frame.endsAt > asked.frame.endsAt) asked.frame = frame;
    return asked.sweep;
  };
}
