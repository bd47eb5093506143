import fc from 'fast-check';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../lib/json.ts';

/** One thing that is wrong with a body: what is done, and to which of its values. */
export interface Mutation {
  kind: 'drop' | 'swap' | 'double' | 'nest' | 'cut' | 'steal' | 'truncate';
  /** Chooses the value, and what is put in its place. */
  where: number;
  what: number;
}

export const mutations = fc.array(
  fc.record<Mutation>({
    kind: fc.oneof(
      { weight: 30, arbitrary: fc.constantFrom('drop', 'swap', 'double', 'nest', 'cut', 'steal') },
      { weight: 1, arbitrary: fc.constant('truncate') },
    ),
    where: fc.nat(),
    what: fc.nat(),
  }),
  { minLength: 1, maxLength: 4 },
);

/** What a value is swapped for: every type, and the odd ones of each. */
const others: readonly JsonValue[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  '',
  ' ',
  '0',
  'x',
  '\u0000',
  '\ud83d',
  '12025550199',
  '../../etc/passwd',
  '9'.repeat(40),
  'y'.repeat(5_000),
  '__proto__',
  [],
  [null],
  [[]],
  {},
  { $ne: null },
  { length: 3 },
  { toString: 'x' },
];

type Place = { parent: JsonObject | JsonValue[]; key: string | number };

/** Levels below which nothing is done: what is nested has a few thousand. */
const DEPTH = 30;

/** Every place of a body that holds a value, the outermost first. */
function placesOf(value: JsonValue, places: Place[] = [], depth = 0): Place[] {
  if (typeof value !== 'object' || value === null || depth === DEPTH) return places;
  const parent = value;
  for (const [key, item] of Object.entries(parent)) {
    places.push({ parent, key });
    placesOf(item, places, depth + 1);
  }
  return places;
}

const read = ({ parent, key }: Place): JsonValue =>
  (parent as Record<string | number, JsonValue>)[key] ?? null;

function write({ parent, key }: Place, value: JsonValue): void {
  (parent as Record<string | number, JsonValue>)[key] = value;
}

/** By way of text: structuredClone ends at a few thousand levels. */
const cloned = <T extends JsonValue>(value: T): T => parseJson(JSON.stringify(value)) as T;

/** The body with these things done to it, as Meta would print it; `truncate` leaves no JSON. */
export function mutated(body: JsonObject, list: readonly Mutation[]): string {
  const copy = cloned(body);
  let length = Infinity;
  for (const { kind, where, what } of list) {
    const places = placesOf(copy);
    const place = places[where % places.length];
    if (place === undefined) continue;
    const value = read(place);
    if (kind === 'drop') remove(place);
    else if (kind === 'swap') write(place, cloned(others[what % others.length] ?? null));
    else if (kind === 'double') double(place, value);
    else if (kind === 'nest') write(place, nested(value, what));
    else if (kind === 'cut') write(place, cut(value, what));
    else if (kind === 'steal') {
      const other = places[what % places.length];
      if (other !== undefined) write(place, cloned(read(other)));
    } else length = what;
  }
  const text = JSON.stringify(copy);
  return text.slice(0, length === Infinity ? undefined : length % text.length);
}

function remove({ parent, key }: Place): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
}

/** An element twice in its list, a text twice in itself, anything else as a list of two. */
function double({ parent, key }: Place, value: JsonValue): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 0, cloned(value));
  else if (typeof value === 'string') parent[key] = value + value;
  else parent[key] = [value, cloned(value)];
}

function nested(value: JsonValue, what: number): JsonValue {
  const levels = [1, 2, 100, 1_000][what % 4] ?? 1;
  let deep = value;
  for (let i = 0; i < levels; i++) deep = what % 8 < 4 ? [deep] : { value: deep };
  return deep;
}

function cut(value: JsonValue, what: number): JsonValue {
  if (typeof value === 'string' || Array.isArray(value)) {
    return value.slice(0, what % (value.length + 1));
  }
  if (!isJsonObject(value)) return null;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.slice(0, what % (entries.length + 1)));
}
