import { type Guard, HUMAN, type LockMove } from '../../../lib/storage/storage.ts';
import type { Span } from './facts.ts';
import type { Model } from './linearizability.ts';

// One device's lock as the interface promises it, for callers that come one after the other. What nobody has seen
// yet (the version of a holding, its end after a call without an answer) is a placeholder until somebody sees it.

/** A live lock as an answer shows it; its end in database time. */
export interface SeenLock {
  agent: string;
  expiresAt: number;
  /** Seconds. */
  ttl: number;
  version: string;
}

/** A turn as an answer shows it: its fence, and by whose name a repeated call finds it again. */
export interface SeenTurn {
  fence: string;
  owner: string;
}

interface Seen {
  lock: SeenLock | null;
  turn: SeenTurn | null;
}

/** `at`: when the database read its clock; one moment where the answer tells it. `id` is its own among all. */
export type LockOp = { id: number; at: Span } & (
  | ({ kind: 'look' } & Seen)
  /** A call without an answer that may have taken the turn. */
  | { kind: 'take'; owner: string }
  /** `lock` null: it was written, or may have been, but no answer shows it. */
  | { kind: 'set'; agent: string; ttl: number; guard: Guard; lock: SeenLock | null }
  | { kind: 'clear'; guard: Guard }
  /** The guard did not hold. */
  | { kind: 'refused'; guard: Guard }
  | { kind: 'commit'; fence: string; move: LockMove; seen: Seen | null }
);

export interface LockState {
  agent: string | null;
  /** Its end lies here. */
  expires: Span;
  ttl: number;
  /** `~` and an id while nobody has seen it. */
  version: string;
  /** The highest version anybody has seen. */
  newest: number;
  /** Whose turn it is, and the lock's version at the grant; fence null while nobody has seen it. */
  turn: { fence: string | null; owner: string; version: string } | null;
  /** The last fence that was committed with. */
  committed: string | null;
}

const DEFAULT_TTL = 86_400;

export const lockModel: Model<LockState, LockOp> = {
  // an answer about what nobody has seen before adds to what is known of the state, which is not to change it
  isRead: (op) => op.kind === 'refused' || (op.kind === 'look' && op.turn === null),
  initial: {
    agent: null,
    expires: { from: 0, to: 0 },
    ttl: DEFAULT_TTL,
    version: '~',
    newest: 0,
    turn: null,
    committed: null,
  },
  step(state, op) {
    switch (op.kind) {
      case 'look':
        return look(state, op, op.at);
      case 'take':
        return granted(state, { fence: null, owner: op.owner });
      case 'set':
        return passing(state, op.guard, op.at).flatMap((live) => {
          const after = moved(state, { ...op, live });
          return op.lock === null ? [after] : observed(after, op.lock, op.at);
        });
      case 'clear':
        return passing(state, op.guard, op.at).map((live) =>
          live ? moved(state, { ...op, agent: null, live }) : state,
        );
      case 'refused':
        return liveness(state, op.at).some((live) => !holds(state, op.guard, live)) ? [state] : [];
      case 'commit':
        return commit(state, op);
    }
  },
};

/** Whether the lock is live at that moment; both, where the moment or its end is not known well enough. */
function liveness({ agent, expires }: LockState, at: Span): boolean[] {
  if (agent === null) return [false];
  return [...(expires.to > at.from ? [true] : []), ...(expires.from <= at.to ? [false] : [])];
}

function holds({ version }: LockState, guard: Guard, live: boolean): boolean {
  if (guard.kind === 'none') return true;
  if (guard.kind === 'absent') return !live;
  const { versions } = guard;
  // one that nobody has seen is none of those a caller can name
  return live && (versions.length === 0 || versions.some((named) => named === version));
}

const passing = (state: LockState, guard: Guard, at: Span): boolean[] =>
  liveness(state, at).filter((live) => holds(state, guard, live));

const isUnseen = (version: string): boolean => version.startsWith('~');

interface Move {
  id: number;
  at: Span;
  agent: string | null;
  ttl?: number | undefined;
  live: boolean;
}

/** The lock changes hands. The same live holder keeps its version; every other change draws a new one. */
function moved(state: LockState, { id, at, agent, ttl = state.ttl, live }: Move): LockState {
  if (agent === null) return { ...state, agent, version: `~${id}` };
  const isRenewal = live && state.agent === agent;
  const isSending =
    state.turn !== null && state.committed !== null && state.turn.fence === state.committed;
  return {
    ...state,
    agent,
    ttl,
    expires: { from: at.from + ttl * 1_000, to: at.to + ttl * 1_000 },
    version: isRenewal ? state.version : `~${id}`,
    // a person takes the turn from a worker that is still at its answer
    turn: agent === HUMAN && !isRenewal && !isSending ? null : state.turn,
  };
}

/** The state, if it may show this lock at that moment; what was not known of it is known afterwards. */
function observed(state: LockState, lock: SeenLock | null, at: Span): LockState[] {
  if (lock === null) return liveness(state, at).includes(false) ? [state] : [];
  const { agent, expires, ttl, version } = state;
  const end = lock.expiresAt;
  if (agent !== lock.agent || ttl !== lock.ttl || end <= at.from) return [];
  if (end < expires.from || end > expires.to) return [];
  const isKnown = expires.from === expires.to;
  const known = isKnown ? state : { ...state, expires: { from: end, to: end } };
  if (version === lock.version) return [known];
  // a version is drawn when the holding begins: it is newer than all before it
  if (!isUnseen(version) || Number(lock.version) <= state.newest) return [];
  const turn =
    state.turn?.version === version ? { ...state.turn, version: lock.version } : state.turn;
  return [{ ...known, version: lock.version, newest: Number(lock.version), turn }];
}

function look(state: LockState, { lock, turn }: Seen, at: Span): LockState[] {
  return observed(state, lock, at).flatMap((seen) =>
    turn === null ? [seen] : granted(seen, turn),
  );
}

/**
 * The turn is given. A call that is repeated finds the one it took before, with what was noted then; if nobody has
 * seen that one, it may also have lapsed, and this is another.
 */
function granted(
  state: LockState,
  { fence, owner }: { fence: string | null; owner: string },
): LockState[] {
  const { turn, version } = state;
  const fresh = { ...state, turn: { fence, owner, version } };
  if (turn?.owner !== owner) return [fresh];
  const same = { ...state, turn: { fence, owner, version: turn.version } };
  if (turn.fence === null) return [same, fresh];
  return [turn.fence === fence ? same : fresh];
}

function commit(state: LockState, op: LockOp & { kind: 'commit' }): LockState[] {
  const before = state.committed === op.fence ? [state] : committed(state, op);
  const { seen } = op;
  return seen === null ? before : before.flatMap((after) => look(after, seen, op.at));
}

function committed(state: LockState, op: LockOp & { kind: 'commit' }): LockState[] {
  const { fence, move, id, at } = op;
  if (state.turn?.fence !== fence) return [];
  const after = { ...state, committed: fence };
  // a lock that somebody else has moved since the grant stands
  if (state.turn.version !== state.version) return [after];
  return liveness(state, at).map((live) => {
    switch (move.do) {
      case 'keep':
        return after;
      case 'set':
        return moved(after, { id, at, agent: move.agent, ttl: move.ttl, live });
      case 'clear':
        return live ? moved(after, { id, at, agent: null, live }) : after;
      case 'renew':
        return live ? moved(after, { id, at, agent: state.agent, ttl: move.ttl, live }) : after;
    }
  });
}
