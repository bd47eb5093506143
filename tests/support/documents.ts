import fc from 'fast-check';
import type { JsonObject, JsonValue } from '../../lib/json.ts';

/** Few enough that two documents share keys, and those that are no ordinary properties. */
const key = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'b', 'c', '', '__proto__', 'constructor') },
  { weight: 1, arbitrary: fc.string({ maxLength: 4 }) },
);

const scalar = fc.oneof(
  fc.constantFrom('', 'one', 'two', 0, 1, -1.5, true, false),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.integer(),
);

const dictionary = <T>(value: fc.Arbitrary<T>) =>
  fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true });

const tied = fc.letrec<{
  any: JsonValue;
  withoutNulls: JsonValue;
  object: JsonObject;
  patch: JsonObject;
}>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(scalar, fc.constant(null)),
    fc.array(tie('any'), { maxLength: 3 }),
    dictionary(tie('any')),
  ),
  // what a merge patch can say: null is a value in an array only, where a patch does not look inside
  withoutNulls: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar,
    fc.array(tie('any'), { maxLength: 3 }),
    dictionary(tie('withoutNulls')),
  ),
  object: dictionary(tie('any')),
  patch: dictionary(tie('withoutNulls')),
}));

/** Any JSON object, nulls and keys like `__proto__` included. */
export const anyDocument = tied.object;

/** A JSON object that a merge patch can lead to: none of its objects holds a null. */
export const documentWithoutNulls = tied.patch;

/** A document as text, the keys of its objects in order: equal for equal documents, whatever their keys are called. */
export function print(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
