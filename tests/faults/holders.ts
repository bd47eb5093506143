/** A turn as its holder was told of it. Times in milliseconds since 1970. */
export interface Grant {
  device: string;
  token: bigint;
  /** By the database: the end it named, less the lease. */
  since: number;
  /** The end it named last; a renewal moves it. */
  until: number;
  /** When the call that ended it, if there was one, was begun; it held the turn at least so long. */
  released: number | null;
  /** Around the call that brought it, by the caller's clock. */
  from: number;
  to: number;
}

/** A write that was accepted, begun at `from`. */
export interface Write {
  device: string;
  token: bigint;
  from: number;
}

/** Milliseconds by which two readings of one machine's clock may differ: PostgreSQL's is cut to whole ones. */
const ROUNDING = 2;

/** Pairs of turns of one device that were held at the same time, or under the same token. */
export function overlaps(grants: readonly Grant[]): number {
  let found = 0;
  for (const of of Map.groupBy(grants, ({ device }) => device).values()) {
    const inOrder = of.toSorted((a, b) => a.since - b.since || Number(a.token - b.token));
    for (const [i, next] of inOrder.entries()) {
      const earlier = inOrder.slice(0, i);
      found += earlier.filter((grant) => {
        const end = Math.min(grant.until, grant.released ?? Infinity);
        return next.since < end - ROUNDING || next.token <= grant.token;
      }).length;
    }
  }
  return found;
}

/** Writes that were accepted although a newer turn of the device had been given before they were begun. */
export function lateWrites(grants: readonly Grant[], writes: readonly Write[]): number {
  const of = Map.groupBy(grants, ({ device }) => device);
  return writes.filter(({ device, token, from }) =>
    of.get(device)?.some((grant) => grant.token > token && grant.since < from - ROUNDING),
  ).length;
}

/** Leases, given or renewed, whose time did not begin while they were asked for, by the database's machine. */
export function offClock(leases: readonly Pick<Grant, 'since' | 'from' | 'to'>[]): number {
  return leases.filter(({ since, from, to }) => since < from - ROUNDING || since > to + ROUNDING)
    .length;
}

/** Turns that somebody else asked for while they were held. */
export function contended(
  grants: readonly Grant[],
  asked: readonly { device: string; from: number; to: number }[],
): number {
  const of = Map.groupBy(asked, ({ device }) => device);
  return grants.filter(({ device, from, to, until, released }) => {
    const end = Math.min(until, released ?? Infinity);
    return of
      .get(device)
      ?.some((call) => call.from !== from && call.from < Math.max(end, to) && call.to > from);
  }).length;
}
