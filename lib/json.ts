import { BatonError } from './errors.ts';

export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

/** PostgreSQL's own functions recurse over a document; twenty thousand levels end in an error there. */
const MAX_DEPTH = 100;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An escape, and no quote but the one that ends a key: what may be an escape in a key. */
const ESCAPED_KEY = /\\[^][^"\\]*"\s*:/;
/** A string, or a sign that makes an object. */
const PARTS = /"(?:[^"\\]|\\[^])*"|[{}:]/g;
/** An object, written as a list of its keys and values. */
const AS_LIST: Readonly<Record<string, string>> = { '{': '{"of":[', ':': ',', '}': ']}' };

/** The same document with its keys in order: which order they come in is each storage's own. */
export function inOrder<T extends JsonValue>(value: T): T {
  if (Array.isArray(value)) return value.map(inOrder) as T;
  if (!isJsonObject(value)) return value;
  const entries = Object.entries<JsonValue>(value).map(
    ([key, item]) => [key, inOrder(item)] as const,
  );
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))) as T;
}

/**
 * JSON.parse, but for what V8 gets wrong, from 12.8 on: a key with an escape in it becomes another key that an
 * earlier document of the process had in that place, as long and with a backslash where the escape begins, such as \
 * for ". Documents with such keys are read once more, their keys as values (https://github.com/nodejs/node/issues/63785).
 *
 * @throws {SyntaxError} what is not JSON
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!ESCAPED_KEY.test(text)) return value;
  try {
    return JSON.parse(
      text.replace(PARTS, (part) => AS_LIST[part] ?? part),
      (_, read: JsonValue) => (isJsonObject(read) ? fromList(read['of']) : read),
    );
  } catch (error) {
    // thousands of levels deep, and nothing that is stored
    if (error instanceof RangeError) return value;
    throw error;
  }
}

function fromList(list: JsonValue | undefined): JsonObject {
  const parts = Array.isArray(list) ? list : [];
  const entries = parts.flatMap((key, i) =>
    i % 2 === 0 && typeof key === 'string' ? [[key, parts[i + 1] ?? null] as const] : [],
  );
  return Object.fromEntries(entries);
}

/**
 * Checks a caller's document before it is stored as it is.
 *
 * @throws {BatonError} `unstorable_text` for U+0000 or a lone surrogate in a key or a value (PostgreSQL refuses
 *   them, 22P05 and 22P02); `invalid_request` for nesting beyond 100 levels or a number beyond double precision
 */
export function assertStorable(value: JsonValue, path: string, depth = 1): void {
  if (typeof value === 'string') {
    if (!isStorable(value)) {
      throw new BatonError(
        'unstorable_text',
        `${path} holds U+0000 or half a surrogate pair, which cannot be stored: remove it`,
      );
    }
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) {
      throw new BatonError('invalid_request', 'Send numbers that double precision can hold', [
        { path, message: 'number out of range' },
      ]);
    }
  } else if (typeof value === 'object' && value !== null) {
    if (depth > MAX_DEPTH) {
      throw new BatonError('invalid_request', `Send documents of at most ${MAX_DEPTH} levels`, [
        { path, message: 'nested too deeply' },
      ]);
    }
    for (const [key, item] of Object.entries(value)) {
      if (!isStorable(key))
        throw new BatonError(
          'unstorable_text',
          `Remove U+0000 and half surrogate pairs from the keys of ${path}`,
        );
      assertStorable(item, path, depth + 1);
    }
  }
}

function isStorable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}

/** A message is never lost for a character PostgreSQL cannot store: U+0000 goes, half a pair becomes U+FFFD. */
export function storableText(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed();
}
