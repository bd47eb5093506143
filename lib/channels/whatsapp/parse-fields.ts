import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseJson,
  storableText,
} from '../../json.ts';

// One field at a time, out of a body of which nothing is known. What is not there, or is not what it should be, is null.

/** A real message id has some 60 characters; a longer one than this is nobody's. */
const MAX_ID = 512;
/** Levels and characters of a document that a person filled in. */
const MAX_DEPTH = 20;
const MAX_DOCUMENT = 65_536;

export const object = (value: JsonValue | undefined): JsonObject | null =>
  isJsonObject(value) ? value : null;

/** The objects of a list, at most so many; the broken ones cost themselves alone. */
export function objects(value: JsonValue | undefined, most = Infinity): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject).slice(0, most) : [];
}

/** Text that can be stored, cut at a length (UTF-16 units) without halving a character. Empty: null. */
export function words(value: JsonValue | undefined, max = 1_024): string | null {
  if (typeof value !== 'string') return null;
  const text = storableText(value);
  const cut = text.length <= max ? text : text.slice(0, max).replace(/[\ud800-\udbff]$/, '');
  return cut === '' ? null : cut;
}

/** An id is a string: one that came as a JSON number has lost digits on the way. One that is too long is none. */
export function id(value: JsonValue | undefined, max = MAX_ID): string | null {
  return typeof value === 'string' && value.length <= max ? words(value, max) : null;
}

export function number(value: JsonValue | undefined): number | null {
  const said = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof said === 'number' && Number.isFinite(said) ? said : null;
}

/** Seconds since 1970, in a string; the storage has the last word on whether it makes sense. */
export function time(value: JsonValue | undefined): Date | null {
  return typeof value === 'string' && /^\d{1,11}$/.test(value)
    ? new Date(Number(value) * 1_000)
    : null;
}

/** A kind or an event as it may stand in a log line. */
export function name(value: JsonValue | undefined): string {
  return typeof value === 'string' && /^[a-z_]{1,40}$/i.test(value) ? value : 'unknown';
}

/** The codes of Meta's `errors`. */
export function errorCodes(value: JsonValue | undefined): number[] {
  return objects(value, 10)
    .map((error) => error['code'])
    .filter((code) => Number.isInteger(code)) as number[];
}

/** A document, as JSON inside a string; null where it is broken, too long or too deep. */
export function document(text: string): JsonObject | null {
  if (text.length > MAX_DOCUMENT) return null;
  try {
    const value: unknown = parseJson(text);
    return isJsonObject(value) ? (storable(value, MAX_DEPTH) as JsonObject) : null;
  } catch {
    return null;
  }
}

function storable(value: JsonValue, levels: number): JsonValue {
  if (typeof value === 'string') return storableText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (levels === 0) throw new RangeError('nested too deeply');
  if (Array.isArray(value)) return value.map((item) => storable(item, levels - 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storable(item, levels - 1)]),
  );
}

/** Those of the fields that are there. */
export function present(fields: Record<string, JsonValue | null | undefined>): JsonObject {
  return Object.fromEntries(
    Object.entries(fields).filter(
      (field): field is [string, JsonValue] => field[1] !== null && field[1] !== undefined,
    ),
  );
}

/** The same, and null where none is. */
export function someOf(fields: Record<string, JsonValue | null | undefined>): JsonObject | null {
  const found = present(fields);
  return Object.keys(found).length === 0 ? null : found;
}
