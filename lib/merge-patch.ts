import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';

/**
 * RFC 7396 in memory, for what one turn notes down before it is committed; the storage merges the same patch
 * into the document that stands there by then.
 */
export function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isJsonObject(patch)) return patch;
  const merged = new Map(Object.entries(isJsonObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  // entries, not assignment: a key called __proto__ is a key like any other
  return Object.fromEntries(merged);
}

/**
 * The patch that turns `before` into `after`. Two patches in a row cannot be joined into one (forget a part, then
 * begin it anew); the difference of their outcome can always be said.
 */
export function diffPatch(before: JsonObject, after: JsonObject): JsonObject {
  const patch = new Map<string, JsonValue>();
  const old = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(after)) {
    const was = old.get(key);
    if (isJsonObject(value) && isJsonObject(was)) {
      const inner = diffPatch(was, value);
      if (Object.keys(inner).length > 0) patch.set(key, inner);
    } else if (!isDeepStrictEqual(was, value)) patch.set(key, value);
    old.delete(key);
  }
  for (const key of old.keys()) patch.set(key, null);
  return Object.fromEntries(patch);
}
