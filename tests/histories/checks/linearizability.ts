/** An operation as its caller saw it: it happened at one moment between the two times, or, if optional, not at all. */
export interface Interval<Op> {
  from: number;
  to: number;
  optional: boolean;
  op: Op;
}

/** What the object does when nobody is in the way. */
export interface Model<State, Op> {
  initial: State;
  /** The states that the operation may leave behind; none, where it cannot have this answer. */
  step(state: State, op: Op): State[];
  /** It changes no state in which it can happen; then `step` gives the very state it was given. */
  isRead(op: Op): boolean;
}

export type Verdict<Op> =
  | { kind: 'linearizable' }
  /** No order explains this answer together with all that ended before it. */
  | { kind: 'violated'; at: Op }
  /** More possibilities than are looked through. */
  | { kind: 'undecided' };

/** What may be the case: the state, and which of the operations under way have already happened. */
interface Possibility<State> {
  state: State;
  done: readonly number[];
}

/**
 * Whether the operations can be put in one order, each at a moment between its two times, in which the object by
 * itself gives all their answers (Herlihy and Wing, 1990).
 *
 * Wing and Gong's search with Lowe's two improvements ("Testing for linearizability", 2017): an operation is put in
 * its place no sooner than an answer asks for it, and what was looked at once is not looked at again. It goes
 * forward in time, so that it needs to remember only the operations under way: its cost grows with how many there
 * are at once, not with the length of the history.
 *
 * @param limit possibilities held at once; beyond them the verdict is `undecided`
 */
export function checkLinearizability<State, Op>(
  history: readonly Interval<Op>[],
  model: Model<State, Op>,
  limit = 50_000,
): Verdict<Op> {
  const underWay = new Set<number>();
  let possible: Possibility<State>[] = [{ state: model.initial, done: [] }];
  for (const { index, isEnd } of eventsOf(history)) {
    if (!isEnd) {
      underWay.add(index);
      continue;
    }
    const interval = at(history, index);
    const after = happened(possible, index, { history, model, underWay, limit });
    if (after === null) return { kind: 'undecided' };
    if (interval.optional) keep(after, possible, index);
    if (after.size === 0) return { kind: 'violated', at: interval.op };
    if (after.size > limit) return { kind: 'undecided' };
    possible = [...after.values()];
    underWay.delete(index);
  }
  return { kind: 'linearizable' };
}

/** Beginnings before ends of the same moment: then two calls count as under way at once. */
function eventsOf<Op>(history: readonly Interval<Op>[]): { index: number; isEnd: boolean }[] {
  return history
    .flatMap(({ from, to }, index) => [
      { time: from, index, isEnd: false },
      { time: to, index, isEnd: true },
    ])
    .toSorted((a, b) => (a.time === b.time ? Number(a.isEnd) - Number(b.isEnd) : a.time - b.time));
}

interface Search<State, Op> {
  history: readonly Interval<Op>[];
  model: Model<State, Op>;
  underWay: ReadonlySet<number>;
  limit: number;
}

/** What may be the case once this operation has happened, whatever others happened just before it; null: too much. */
function happened<State, Op>(
  possible: readonly Possibility<State>[],
  index: number,
  search: Search<State, Op>,
): Map<string, Possibility<State>> | null {
  const after = new Map<string, Possibility<State>>();
  const seen = new Set<string>();
  const open = [...possible];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (one.done.includes(index)) {
      put(after, without(one, index));
      continue;
    }
    for (const then of nextOf(one, search)) {
      const key = keyOf(then);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(then);
    }
    if (seen.size > search.limit) return null;
  }
  return after;
}

/** What may be the case after one more operation. */
function nextOf<State, Op>(
  { state, done }: Possibility<State>,
  { history, model, underWay }: Search<State, Op>,
): Possibility<State>[] {
  const found: Possibility<State>[] = [];
  for (const index of underWay) {
    if (done.includes(index)) continue;
    const { op } = at(history, index);
    const then = { done: [...done, index].toSorted((a, b) => a - b) };
    const states = model.step(state, op);
    // one that changes nothing can as well happen now: moved here, it leaves every order that was possible possible
    if (model.isRead(op) && states.includes(state)) return [{ state, ...then }];
    found.push(...states.map((next) => ({ state: next, ...then })));
  }
  return found;
}

/** The possibilities in which an optional operation never happened. */
function keep<State>(
  after: Map<string, Possibility<State>>,
  possible: readonly Possibility<State>[],
  index: number,
): void {
  for (const one of possible) if (!one.done.includes(index)) put(after, one);
}

const without = <State>({ state, done }: Possibility<State>, index: number) => ({
  state,
  done: done.filter((other) => other !== index),
});

const keyOf = (one: Possibility<unknown>): string => JSON.stringify(one);

function put<State>(into: Map<string, Possibility<State>>, one: Possibility<State>): void {
  into.set(keyOf(one), one);
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`nothing at ${index}`);
  return item;
}
