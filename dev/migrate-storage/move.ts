import { differing, sumsOf, Total } from './digest.ts';
import { type Kind, kinds, type Records, type Unit, units } from './records.ts';

export interface Pair {
  from: Records;
  to: Records;
}

/**
 * Writes what the target has not, or has otherwise. So it goes on where it was broken off, and run again mends what has
 * changed since.
 *
 * @param resumed whether the target may hold what the source has no more
 */
export async function copy(
  { from, to }: Pair,
  resumed: boolean,
  onDevices: (count: number) => void,
): Promise<void> {
  for (const unit of units) {
    for await (const ids of from.ids(unit)) {
      const there = await to.present(unit, ids);
      const same = await equal({ from, to }, unit, [...there]);
      const missing = ids.filter((id) => !same.has(id));
      if (missing.length > 0) await to.write(unit, missing, from.read(unit, missing));
      if (unit === 'device') onDevices(ids.length);
    }
    if (resumed) await dropGone({ from, to }, unit);
  }
}

async function equal({ from, to }: Pair, unit: Unit, ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const here = await sumsOf(from.read(unit, ids));
  const there = await sumsOf(to.read(unit, ids));
  return new Set(ids.filter((id) => differing(here.get(id), there.get(id)).length === 0));
}

async function dropGone({ from, to }: Pair, unit: Unit): Promise<void> {
  for await (const ids of to.ids(unit)) {
    const here = await from.present(unit, ids);
    const gone = ids.filter((id) => !here.has(id));
    if (gone.length > 0) await to.drop(unit, gone);
  }
}

/** What is on both sides, by kind, and what is not the same. */
export interface Comparison {
  lines: { kind: Kind; count: number; otherCount: number; checksum: string; isSame: boolean }[];
  /** A few of the devices that differ, as `kind of device`. What else there is goes by phone numbers. */
  examples: string[];
  isSame: boolean;
}

const EXAMPLES = 5;

/**
 * Reads both sides once more, and compares.
 *
 * @param ordered the side that tells each of its units once
 * @param lapsed of units that only `ordered` has, those that have ended on the other side by themselves
 */
export async function compare(
  ordered: Records,
  other: Records,
  lapsed: (unit: Unit, ids: string[]) => Promise<Set<string>>,
  onDevices: (count: number) => void,
): Promise<Comparison> {
  const [own, others] = [new Total(), new Total()];
  const different = new Set<Kind>();
  const examples: string[] = [];
  const note = (unit: Unit, kind: Kind, id: string) => {
    different.add(kind);
    if (unit === 'device' && examples.length < EXAMPLES) examples.push(`${kind} of ${id}`);
  };
  for (const unit of units) {
    for await (const ids of ordered.ids(unit)) {
      const [a, b] = [await sumsOf(ordered.read(unit, ids)), await sumsOf(other.read(unit, ids))];
      const ended = await lapsed(
        unit,
        ids.filter((id) => !b.has(id)),
      );
      for (const id of ids.filter((one) => !ended.has(one))) {
        own.add(id, a.get(id) ?? new Map());
        others.add(id, b.get(id) ?? new Map());
        for (const kind of differing(a.get(id), b.get(id))) note(unit, kind, id);
      }
      if (unit === 'device') onDevices(ids.length);
    }
    for await (const ids of other.ids(unit)) {
      const here = await ordered.present(unit, ids);
      const missing = ids.filter((id) => !here.has(id));
      for (const [id, sums] of await sumsOf(other.read(unit, missing))) {
        others.add(id, sums);
        for (const kind of sums.keys()) note(unit, kind, id);
      }
    }
  }
  const lines = kinds.map((kind) => ({
    kind,
    count: own.counts.get(kind) ?? 0,
    otherCount: others.counts.get(kind) ?? 0,
    checksum: own.checksum(kind),
    isSame: !different.has(kind),
  }));
  return { lines, examples, isSame: different.size === 0 };
}

/** What the progress of both is counted in. */
export async function countDevices(records: Records): Promise<number> {
  let count = 0;
  for await (const ids of records.ids('device')) count += ids.length;
  return count;
}

/** How many rows of each kind. */
export async function countRows(records: Records): Promise<Map<Kind, number>> {
  const total = new Total();
  for (const unit of units) {
    for await (const ids of records.ids(unit)) {
      for (const [id, sums] of await sumsOf(records.read(unit, ids))) total.add(id, sums);
    }
  }
  return total.counts;
}
