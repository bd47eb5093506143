import type { DeviceId, Lane, Turn } from '../../../lib/storage/storage.ts';
import { type Call, type Evidence, readAnswer, type Rule, type Violation } from '../history.ts';

// What several checks read out of a history.

/** A stretch of database time, in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
}

/** A turn as somebody got it. */
export interface Grant {
  call: Call;
  device: DeviceId;
  fence: number;
  /** By whose name a repeated call finds it again. */
  owner: string;
  lane: Lane;
  /** Database time: the lease's end less the lease. */
  at: number;
  turn: Turn;
}

/** How far the two clocks may drift apart in a round, with what is cut off to milliseconds. */
const DRIFT = 50;

/** When, by the database's clock, something happened that took place between two process times. */
export const spanOf = ({ clockOffset }: Evidence, from: number, to: number): Span => ({
  from: from + clockOffset - DRIFT,
  to: to + clockOffset + DRIFT,
});

/** It happened once, and the answer is of that one time. */
export const isPlain = (call: Call): boolean => call.result.known && call.broken.length === 0;

/** Every turn that was given, also again. */
export function grantsOf(calls: readonly Call[]): Grant[] {
  return calls.flatMap((call) => turnsOf(call).map((given) => toGrant(call, given)));
}

interface Given {
  turn: Turn;
  owner: string;
  lane: Lane;
  leaseMs: number;
}

function toGrant(call: Call, { turn, owner, lane, leaseMs }: Given): Grant {
  const at = turn.expiresAt.getTime() - leaseMs;
  return { call, device: turn.device, fence: Number(turn.fence), owner, lane, at, turn };
}

function turnsOf(call: Call): Given[] {
  return readAnswer<Given>(call, {
    accept: (devices, [, { requestId: owner, lane, leaseMs }]) =>
      devices.flatMap(({ turn }) => (turn === null ? [] : { turn, owner, lane, leaseMs })),
    next: ({ turns }, [, { requestId: owner, lane, leaseMs }]) =>
      turns.map((turn) => ({ turn, owner, lane, leaseMs })),
    recover: ({ turns }, [{ requestId: owner, leaseMs }]) =>
      turns.map((turn) => ({ turn, owner, lane: 'builtin', leaseMs })),
    commit(result, [, fence, lane, , leaseMs]) {
      if (result.outcome !== 'committed' || result.turn === null) return [];
      return [{ turn: result.turn, owner: `after:${fence}`, lane, leaseMs }];
    },
    settle(result, [, fence, , leaseMs]) {
      const turn = result?.turn ?? null;
      return turn === null ? [] : [{ turn, owner: `after:${fence}`, lane: 'builtin', leaseMs }];
    },
  });
}

/** The first time each turn was given, by device, in the order of the fences. */
export function turnsByDevice(calls: readonly Call[]): Map<DeviceId, Grant[]> {
  const first = new Map<string, Grant>();
  for (const grant of grantsOf(calls)) {
    const key = `${grant.device} ${grant.fence}`;
    if (!first.has(key)) first.set(key, grant);
  }
  const turns = [...first.values()].toSorted((a, b) => a.fence - b.fence);
  return Map.groupBy(turns, ({ device }) => device);
}

/** Of two commits of one turn the later finds its work done, also when others have had the turn since. */
export function repeatedCommits(
  calls: readonly Call[],
): (device: string, fence: string) => boolean {
  const counts = new Map<string, number>();
  for (const { kind, args } of calls) {
    if (kind !== 'commit') continue;
    const key = `${args[0]} ${args[1]}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return (device, fence) => (counts.get(`${device} ${fence}`) ?? 0) > 1;
}

export function violation(
  rule: Rule,
  device: DeviceId | null,
  what: string,
  ...calls: Call[]
): Violation {
  return { rule, device, what, calls: calls.map(({ id }) => id) };
}
