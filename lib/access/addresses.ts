/** Lets each address do something so many times within a span, and then no more until it is over. */
export interface AddressBound {
  /** Counts one more; false: it is too many. */
  take(address: string): boolean;
}

/**
 * Counts in this instance's memory: a bound on what one address can do to one instance, and no more than that.
 *
 * @param most times within `spanMs`
 * @param addresses that are remembered; beyond them the oldest is forgotten, so that inventing addresses costs no memory
 */
export function boundAddresses(
  most: number,
  spanMs: number,
  addresses = 10_000,
  now: () => number = () => performance.now(),
): AddressBound {
  const spans = new Map<string, { since: number; count: number }>();
  return {
    take(address) {
      const name = networkOf(address);
      const at = now();
      let span = spans.get(name);
      if (span === undefined || at - span.since >= spanMs) {
        spans.delete(name);
        span = { since: at, count: 0 };
        spans.set(name, span);
        const [oldest] = spans.keys();
        if (spans.size > addresses && oldest !== undefined) spans.delete(oldest);
      }
      span.count += 1;
      return span.count <= most;
    },
  };
}

/** An IPv4 address as it is; of IPv6 the first 64 bits, below which a customer has addresses without number. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

/** Where a request came from, as the platform's proxy writes it; empty where none did. */
export function addressOf(headers: Headers): string {
  return headers.get('x-real-ip') ?? headers.get('x-forwarded-for')?.split(',')[0]?.trim() ?? '';
}
