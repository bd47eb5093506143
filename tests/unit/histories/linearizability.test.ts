import { describe, expect, it } from 'vitest';
import {
  checkLinearizability,
  type Interval,
  type Model,
} from '../../histories/checks/linearizability.ts';

/** A register that holds a number: the example of the literature. */
type Op = { write: number } | { read: number };
const register: Model<number, Op> = {
  initial: 0,
  isRead: (op) => 'read' in op,
  step: (state, op) => ('write' in op ? [op.write] : op.read === state ? [state] : []),
};

const done = (from: number, to: number, op: Op): Interval<Op> => ({
  from,
  to,
  op,
  optional: false,
});
const unknown = (from: number, to: number, op: Op): Interval<Op> => ({
  from,
  to,
  op,
  optional: true,
});
const verdict = (...history: Interval<Op>[]) => checkLinearizability(history, register).kind;

describe('calls one after the other', () => {
  it('may only read what was written last', () => {
    expect(verdict(done(0, 1, { write: 1 }), done(2, 3, { read: 1 }))).toBe('linearizable');
    expect(verdict(done(0, 1, { write: 1 }), done(2, 3, { read: 0 }))).toBe('violated');
  });

  it('are told apart by their times, not by their place in the list', () => {
    expect(verdict(done(2, 3, { read: 1 }), done(0, 1, { write: 1 }))).toBe('linearizable');
  });

  it('say which answer no order explains', () => {
    const history = [done(0, 1, { write: 1 }), done(2, 3, { read: 2 }), done(4, 5, { read: 1 })];
    expect(checkLinearizability(history, register)).toEqual({ kind: 'violated', at: { read: 2 } });
  });
});

describe('calls at once', () => {
  it('may happen in any order', () => {
    const writes = [done(0, 10, { write: 1 }), done(0, 10, { write: 2 })];
    expect(verdict(...writes, done(11, 12, { read: 1 }))).toBe('linearizable');
    expect(verdict(...writes, done(11, 12, { read: 2 }))).toBe('linearizable');
    expect(verdict(...writes, done(11, 12, { read: 0 }))).toBe('violated');
  });

  it('may not be seen in two orders', () => {
    const writes = [done(0, 10, { write: 1 }), done(0, 10, { write: 2 })];
    const seen = [done(1, 2, { read: 1 }), done(3, 4, { read: 2 }), done(5, 6, { read: 1 })];
    expect(verdict(...writes, ...seen)).toBe('violated');
  });

  it('may not be unseen again: once somebody has read a write, nobody reads what was before', () => {
    const write = done(0, 10, { write: 1 });
    expect(verdict(write, done(1, 2, { read: 1 }), done(3, 4, { read: 1 }))).toBe('linearizable');
    expect(verdict(write, done(1, 2, { read: 1 }), done(3, 4, { read: 0 }))).toBe('violated');
  });

  it('that touch in one moment count as at once', () => {
    expect(verdict(done(0, 5, { write: 1 }), done(5, 6, { read: 0 }))).toBe('linearizable');
  });
});

describe('a call without an answer', () => {
  it('has happened, or not', () => {
    const write = unknown(0, 1, { write: 1 });
    expect(verdict(write, done(2, 3, { read: 1 }))).toBe('linearizable');
    expect(verdict(write, done(2, 3, { read: 0 }))).toBe('linearizable');
    expect(verdict(write, done(2, 3, { read: 2 }))).toBe('violated');
  });

  it('happens once at most, and within its time', () => {
    const write = unknown(0, 1, { write: 1 });
    const again = [done(2, 3, { read: 1 }), done(4, 5, { write: 2 }), done(6, 7, { read: 1 })];
    expect(verdict(write, ...again)).toBe('violated');
    expect(verdict(write, done(2, 3, { read: 0 }), done(4, 5, { read: 1 }))).toBe('violated');
  });

  it('may happen much later, if its time has no end', () => {
    const write = unknown(0, Infinity, { write: 1 });
    expect(verdict(write, done(2, 3, { read: 0 }), done(4, 5, { read: 1 }))).toBe('linearizable');
  });
});

it('agrees with trying every order, over random histories of few calls', () => {
  let state = 7;
  const below = (end: number) => (state = (state * 48_271) % 2_147_483_647) % end;
  const verdicts = new Set<string>();
  for (let round = 0; round < 3_000; round++) {
    const history = Array.from({ length: 5 }, (): Interval<Op> => {
      const from = below(12);
      const op = below(2) === 0 ? { write: 1 + below(2) } : { read: below(3) };
      return { from, to: from + below(6), op, optional: 'write' in op && below(4) === 0 };
    });
    const kind = verdict(...history);
    expect(kind, JSON.stringify(history)).toBe(byTrying(history, 0) ? 'linearizable' : 'violated');
    verdicts.add(kind);
  }
  expect(verdicts.size).toBe(2);
});

/** What may come next is what nothing left has ended before. */
function byTrying(left: Interval<Op>[], state: number): boolean {
  if (left.length === 0) return true;
  return left.some((one) => {
    const rest = left.filter((other) => other !== one);
    if (rest.some(({ to, optional }) => to < one.from && !optional)) return false;
    const after = rest.filter(({ to }) => to >= one.from);
    const next = register.step(state, one.op);
    return (one.optional && byTrying(rest, state)) || next.some((then) => byTrying(after, then));
  });
}

it('gives up beyond its limit instead of searching for ever', () => {
  const writes = Array.from({ length: 12 }, (_, i) => done(0, 100 + i, { write: i + 1 }));
  const history = [...writes, done(0, 99, { read: 13 })];
  expect(checkLinearizability(history, register, 100).kind).toBe('undecided');
});

it('takes long histories of few at once in a moment', () => {
  const history = Array.from({ length: 20_000 }, (_, i) =>
    done(i, i + 3, i % 2 === 0 ? { write: 1 } : { read: 1 }),
  );
  expect(verdict(done(-2, -1, { write: 1 }), ...history)).toBe('linearizable');
});
