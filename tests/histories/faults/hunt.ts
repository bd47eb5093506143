import type { Violation } from '../history.ts';
import { type Play, play } from '../play.ts';
import type { Fault } from './faults.ts';
import { plant } from './plant.ts';

interface HuntOptions {
  /** A migrated database to be spoilt. */
  url: string;
  fault: Fault;
  seed: number;
  workers: number;
  /** Milliseconds of play at most; a minute. */
  forMs?: number;
  signal?: AbortSignal | undefined;
}

/** Plants a fault and plays until its broken promise shows, or the time is over. */
export async function hunt({ fault: { breaks, edits }, ...options }: HuntOptions): Promise<Play> {
  await plant(options.url, edits);
  const isEnough = (violations: readonly Violation[]) =>
    violations.some(({ rule }) => rule === breaks);
  return play({ forMs: 60_000, ...options, roundMs: 1_500, isEnough });
}
