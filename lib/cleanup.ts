import { count } from './counters.ts';
import type { Frame } from './frame.ts';
import type { TurnServices } from './turn.ts';
import { recover } from './sweep.ts';

/** Rows of each kind that one statement takes. */
const BATCH = 500;
/** Share of the call's time that goes to clean-up; the rest is for turns that were let fall. */
const SHARE = 0.5;

export interface CleanUpReport {
  expiredLocks: number;
  expiredSessions: number;
  purgedMessages: number;
  recoveredTurns: number;
  resentReplies: number;
  durationMs: number;
  /** The time was up before everything was done: call again. */
  more: boolean;
}

/** What the cron does: clears what has ended, in small batches, and picks up what was let fall. */
export async function cleanUp(services: TurnServices, frame: Frame): Promise<CleanUpReport> {
  const started = performance.now();
  const until = started + (frame.endsAt - started) * SHARE;
  const report = { expiredLocks: 0, expiredSessions: 0, purgedMessages: 0, more: true };
  while (report.more && performance.now() < until) {
    const batch = await services.storage.cleanUp(BATCH);
    report.expiredLocks += batch.expiredLocks;
    report.expiredSessions += batch.expiredSessions;
    report.purgedMessages += batch.purgedMessages;
    report.more = batch.more;
  }
  count('expired', 'lock', report.expiredLocks);
  count('expired', 'session', report.expiredSessions);
  count('expired', 'message', report.purgedMessages);
  count('cleanups', report.more ? 'partial' : 'complete');
  const recovered = await recover(services, frame);
  return {
    ...report,
    recoveredTurns: recovered.turns,
    resentReplies: recovered.replies,
    durationMs: Math.round(performance.now() - started),
  };
}
