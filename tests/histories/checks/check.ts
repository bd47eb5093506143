import type { Evidence, Violation } from '../history.ts';
import { checkAnswers } from './answers.ts';
import { checkDeliveries } from './deliveries.ts';
import { violation } from './facts.ts';
import { checkFences } from './fences.ts';
import { checkHolders } from './holders.ts';
import { checkLocks } from './locks.ts';
import { checkStates } from './states.ts';
import { checkDevices, checkOrder } from './tables.ts';
import { checkWakeUps } from './wake-ups.ts';

export interface Findings {
  violations: Violation[];
  /** Operations on locks that were put in order, and devices where there were too many possibilities to tell. */
  lockOperations: number;
  undecided: number;
}

/** Holds a history against everything the storage promises. */
export function check(evidence: Evidence): Findings {
  const { violations: locks, operations: lockOperations, undecided } = checkLocks(evidence);
  const violations = [
    ...refusals(evidence),
    ...checkFences(evidence),
    ...checkHolders(evidence),
    ...checkAnswers(evidence),
    ...checkDeliveries(evidence),
    ...checkWakeUps(evidence),
    ...checkOrder(evidence),
    ...checkDevices(evidence),
    ...checkStates(evidence),
    ...locks,
  ];
  return { violations, lockOperations, undecided };
}

/** Calls fail in one way only: the storage could not be reached. */
function refusals({ calls }: Evidence): Violation[] {
  return calls.flatMap((call) => {
    if (call.result.known || call.result.code === 'storage_unavailable') return [];
    return [violation('refusal', null, `${call.kind} failed with ${call.result.code}`, call)];
  });
}
