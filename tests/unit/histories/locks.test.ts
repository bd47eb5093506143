import { describe, expect, it } from 'vitest';
import { checkLocks } from '../../histories/checks/locks.ts';
import { type Call, agentOf } from '../../histories/history.ts';
import { type Fence, type Guard, HUMAN, type Lock } from '../../../lib/storage/storage.ts';
import { at, accept, call, commit, evidence, here, lock, lost, turn } from './scene.ts';

const none: Guard = { kind: 'none' };
const absent: Guard = { kind: 'absent' };
const only = ({ version }: Lock): Guard => ({ kind: 'present', versions: [version] });

const get = (ms: number, held: Lock | null) =>
  call('getLock', ms, [here], { now: at(ms), lock: held });
const set = (ms: number, held: Lock, guard: Guard = none) =>
  call('setLock', ms, [here, { agent: held.agent, ttlSeconds: held.sessionTtl }, guard], {
    written: true,
    now: at(ms),
    lock: held,
  });
const notSet = (ms: number, guard: Guard) =>
  call('setLock', ms, [here, { agent: agentOf(here, 9), ttlSeconds: 1 }, guard], {
    written: false,
  });
const clear = (ms: number, guard: Guard = none) =>
  call('clearLock', ms, [here, guard], { written: true, now: at(ms) });
const broken = (...calls: Call[]) =>
  checkLocks(evidence(calls)).violations.map(({ what, calls: shown }) => [what, ...shown]);
const sound = (...calls: Call[]) => expect(broken(...calls)).toEqual([]);
const unsound = (...calls: Call[]) =>
  expect(broken(...calls)).toEqual([
    ['no order of the operations on the lock explains this answer', calls.length - 1],
  ]);

const a = lock(1, 5, 10);
const b = lock(2, 7, 20);

describe('a lock', () => {
  it('is shown as it was set last', () => {
    sound(get(5, null), set(10, a), get(15, a), set(20, b), get(25, b), clear(30), get(35, null));
    unsound(set(10, a), set(20, b), get(25, a));
    unsound(set(10, a), get(15, null));
    unsound(set(10, a), clear(20), get(30, a));
  });

  it('exists up to its end and no longer, whenever somebody looks', () => {
    sound(set(10, a), get(1_009, a), get(1_010, null));
    expect(broken(set(10, a), get(1_010, a))).toContainEqual(['a lock is shown past its end', 1]);
    unsound(set(10, a), get(1_009, null));
  });

  it('keeps its version while the same holder renews it, and draws a higher one for every other', () => {
    sound(set(10, a), set(500, { ...lock(1, 5, 500), lockedAt: a.lockedAt }));
    unsound(set(10, a), set(500, lock(1, 6, 500)));
    unsound(set(10, a), set(500, lock(2, 5, 500)));
    unsound(set(10, a), set(500, lock(2, 4, 500)));
    // the same holder, but the lock had lapsed
    unsound(set(10, a), set(1_500, lock(1, 5, 1_500)));
  });
});

describe('a guard', () => {
  it('lets one of two who find nothing held', () => {
    sound(set(10, a, absent), notSet(20, absent), clear(30), set(40, lock(2, 9, 40), absent));
    unsound(set(10, a, absent), set(20, b, absent));
  });

  it('refuses only where it does not hold', () => {
    unsound(notSet(10, absent));
    unsound(set(10, a), notSet(20, only(a)));
    sound(set(10, a), notSet(1_100, only(a)));
  });

  it('asks for the version that is held', () => {
    sound(set(10, a), set(20, b, only(a)));
    unsound(set(10, a), set(20, b), set(30, lock(3, 9, 30), only(a)));
    unsound(set(10, a), set(20, b), clear(30, only(a)));
  });
});

describe('a call without an answer', () => {
  it('has moved the lock, or has not', () => {
    sound(lost(set(10, a), 9, 40), get(50, { ...a, expiresAt: at(1_020) }));
    sound(lost(set(10, a), 9, 40), get(50, null));
    sound(set(10, a), lost(clear(20), 19, 21), get(50, null));
    sound(set(10, a), lost(clear(20), 19, 21), get(50, a));
  });

  it('moves it once: what one has seen of it, the next must see too', () => {
    const seen = { ...a, expiresAt: at(1_020) };
    unsound(lost(set(10, a), 9, 40), get(50, seen), get(60, { ...seen, expiresAt: at(1_021) }));
    unsound(lost(set(10, a), 9, 40), get(50, null), get(60, seen));
  });
});

describe('a turn', () => {
  const given = (ms: number, held: Lock | null) =>
    accept(ms, '1', { lock: held, turn: turn(ms, 8, ['1'], { lock: held }) });
  const moving = (ms: number, held: Lock | null) =>
    commit(ms, 8, ['1'], { lock: held }, { lock: { do: 'set', agent: agentOf(here, 3), ttl: 1 } });

  it('moves the lock, if nobody has moved it since the grant', () => {
    const moved = lock(3, 9, 30);
    sound(given(10, null), moving(30, moved), get(40, moved));
    unsound(given(10, null), moving(30, null));
  });

  it('leaves a lock alone that somebody has moved since the grant', () => {
    const other = lock(2, 9, 20);
    sound(given(10, null), set(20, other), moving(30, other), get(40, other));
    unsound(given(10, null), set(20, other), moving(30, lock(3, 10, 30)));
    // cleared is moved
    sound(set(5, lock(1, 7, 5)), given(10, lock(1, 7, 5)), clear(20), moving(30, null));
    unsound(set(5, lock(1, 7, 5)), given(10, lock(1, 7, 5)), clear(20), moving(30, lock(3, 9, 30)));
  });

  it('moves it once, however often it is committed', () => {
    const moved = lock(3, 9, 30);
    const other = lock(2, 11, 40);
    sound(given(10, null), moving(30, moved), set(40, other), moving(50, other), get(60, other));
    unsound(given(10, null), moving(30, moved), set(40, other), moving(50, lock(3, 12, 50)));
  });

  it('is the person’s who takes over: what is committed after that moves nothing', () => {
    const person = { ...lock(0, 9, 20), agent: HUMAN };
    unsound(given(10, null), set(20, person), clear(25), moving(30, null));
  });

  it('that a broken call had taken keeps what was noted then', () => {
    const other = lock(2, 9, 12);
    const repeated: Call = {
      ...given(20, other),
      invoked: 5,
      responded: 30,
      broken: [{ from: 5, to: 15 }],
    };
    // taken before the lock was moved, or after it: both explain this
    sound(repeated, set(12, other), moving(40, other));
    sound(repeated, set(12, other), moving(40, lock(3, 11, 40)));
    const whole: Call = { ...repeated, broken: [] };
    unsound(whole, set(12, other), moving(40, other));
  });
});

it('counts what it has put in order, and has a device for each', () => {
  const { operations, undecided } = checkLocks(evidence([set(10, a), get(20, a), get(30, a)]));
  expect({ operations, undecided }).toEqual({ operations: 3, undecided: 0 });
});

it('names the call that shows it, wherever it stands', () => {
  const wrong = get(25, a);
  const calls = [get(5, null), set(10, a), wrong, set(20, b), get(40, b)];
  expect(broken(...calls)).toEqual([[expect.any(String), calls.indexOf(wrong)]]);
});

it('does not take a fence for another’s', () => {
  const given = accept(10, '1', { turn: turn(10, 8, ['1']) });
  const other = call(
    'commit',
    30,
    [here, '9' as Fence, 'builtin', { replies: [], deliver: false, lock: { do: 'keep' } }, 100],
    {
      outcome: 'committed',
      now: at(30),
      lock: null,
      sessionId: 's',
      answered: [],
      replies: [],
      deliver: false,
      turn: null,
    },
  );
  unsound(given, other);
});
