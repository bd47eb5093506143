/**
 * Two storages draw different ids, fences and versions. Each of theirs gets a name in the order in which it is first
 * seen; what they answer is the same if it is the same by these names.
 */
export class Names {
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  of(kind: Kind, raw: string): string {
    const key = `${kind} ${raw}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const name = `${kind} ${count}`;
    this.#names.set(key, name);
    return name;
  }

  /** A value with everything drawn replaced by its name, and times by milliseconds since `start`. */
  in(value: unknown, start: number): unknown {
    return this.#rename(value, start);
  }

  #rename(value: unknown, start: number, field = ''): unknown {
    if (value instanceof Date) return value.getTime() - start;
    if (typeof value === 'string') {
      const kind = KINDS.get(field);
      // what an answer is told by is the message's own id, and no number
      return kind === undefined || !/^\d+$|^[0-9a-f-]{36}$/.test(value)
        ? value
        : this.of(kind, value);
    }
    if (Array.isArray(value)) return value.map((item) => this.#rename(item, start, field));
    if (typeof value !== 'object' || value === null || DOCUMENTS.has(field)) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => [key, this.#rename(item, start, key)]),
    );
  }
}

type Kind = 'message' | 'session' | 'fence' | 'version';

const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['id', 'message'],
  ['answers', 'message'],
  ['session', 'session'],
  ['sessionId', 'session'],
  ['fence', 'fence'],
  ['version', 'version'],
  ['stateVersion', 'version'],
]);

/** What somebody wrote is compared as it is. */
const DOCUMENTS = new Set(['state', 'metadata']);
