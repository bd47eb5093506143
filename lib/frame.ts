import type { Rate } from './storage/storage.ts';

/** The frame of one function call. */
export interface Frame {
  /** Names the call; a repeated ACCEPT gets its turns back by it. */
  requestId: string;
  /** performance.now() at which its work must be over. */
  endsAt: number;
  /** What is left of the caller's RATE_LIMIT, once it was looked at; its callers are told. */
  rate?: Rate & { limit: number };
}

/** Milliseconds a function must have left to begin on another turn. */
const ENOUGH = 5_000;

/** Whether it is worth beginning on another turn, now or in so many milliseconds. */
export function hasTime(frame: Frame, inMs = 0): boolean {
  return frame.endsAt - performance.now() > inMs + ENOUGH;
}
