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
        `${path} holds U+0000 or half a surrogate pair, which cannot be stored`,
      );
    }
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) {
      throw new BatonError('invalid_request', 'A number is too large', [
        { path, message: 'number out of range' },
      ]);
    }
  } else if (typeof value === 'object' && value !== null) {
    if (depth > MAX_DEPTH) {
      throw new BatonError('invalid_request', `Documents may nest ${MAX_DEPTH} levels deep`, [
        { path, message: 'nested too deeply' },
      ]);
    }
    for (const [key, item] of Object.entries(value)) {
      if (!isStorable(key))
        throw new BatonError('unstorable_text', `A key in ${path} cannot be stored`);
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
