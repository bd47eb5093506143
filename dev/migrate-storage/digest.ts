import { createHash, type Hash } from 'node:crypto';
import { type Kind, kinds, type Row } from './records.ts';

/** Rows of a kind, and a hash over them in their order. */
export interface Sum {
  count: number;
  hash: string;
}

/** Of a unit. */
export type Sums = Map<Kind, Sum>;

/** @returns by unit; one without any row is not in it */
export async function sumsOf(pages: AsyncIterable<Row[]>): Promise<Map<string, Sums>> {
  const open = new Map<string, { of: string; kind: Kind; count: number; hash: Hash }>();
  for await (const rows of pages) {
    for (const { of, kind, data } of rows) {
      const name = `${kind} ${of}`;
      const sum = open.get(name) ?? { of, kind, count: 0, hash: createHash('sha256') };
      sum.count++;
      sum.hash.update(`${canonical(data)}\n`);
      open.set(name, sum);
    }
  }
  const units = new Map<string, Sums>();
  for (const { of, kind, count, hash } of open.values()) {
    const sums: Sums = units.get(of) ?? new Map<Kind, Sum>();
    units.set(of, sums.set(kind, { count, hash: hash.digest('hex') }));
  }
  return units;
}

/** The kinds in which two units differ. */
export const differing = (a: Sums | undefined, b: Sums | undefined): Kind[] =>
  kinds.filter((kind) => a?.get(kind)?.hash !== b?.get(kind)?.hash);

/** The same text for the same value, whatever the order of its keys: a document has none. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item !== 'object' || item === null || Array.isArray(item)
      ? item
      : Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  );
}

/** Adds up the sums of units, in the order in which they come. */
export class Total {
  readonly counts = new Map<Kind, number>(kinds.map((kind) => [kind, 0]));
  readonly #hashes = new Map(kinds.map((kind) => [kind, createHash('sha256')]));

  add(of: string, sums: Sums): void {
    for (const [kind, { count, hash }] of sums) {
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + count);
      this.#hashes.get(kind)?.update(`${of} ${hash}\n`);
    }
  }

  /** Called once. */
  checksum(kind: Kind): string {
    return this.#hashes.get(kind)?.digest('hex').slice(0, 16) ?? '';
  }
}
