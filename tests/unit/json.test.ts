import { describe, expect, it } from 'vitest';
import { BatonError } from '../../lib/errors.ts';
import {
  assertStorable,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  storableText,
} from '../../lib/json.ts';

/** The code of the refusal; null where there is none. */
function refusal(value: JsonValue): string | null {
  try {
    assertStorable(value, 'state');
    return null;
  } catch (error) {
    if (error instanceof BatonError) return error.code;
    throw error;
  }
}

/** `levels` objects or arrays inside each other. */
function nested(levels: number, wrap: (inner: JsonValue) => JsonValue): JsonValue {
  let value: JsonValue = levels % 2 === 0 ? {} : [];
  for (let level = 1; level < levels; level++) value = wrap(value);
  return value;
}

const parse = (text: string) => JSON.parse(text) as JsonObject;

describe('assertStorable', () => {
  it('passes every kind of JSON value, noncharacters and surrogate pairs included', () => {
    expect(
      refusal({
        s: '\uFFFE 😀 ‮',
        n: -1.5e300,
        b: false,
        z: null,
        a: [[], {}, 'x'],
        '😀': 1,
        '': 0,
      }),
    ).toBeNull();
  });

  it.each<[string, JsonValue]>([
    ['U+0000 in a value', { a: 'x\u0000y' }],
    ['U+0000 in a key', { 'x\u0000': 1 }],
    ['U+0000 deep inside', { a: [{ b: ['\u0000'] }] }],
    ['a lone high surrogate in a value', { a: '\ud83d' }],
    ['a lone low surrogate in a value', { a: '\ude00 x' }],
    ['a surrogate pair the wrong way round', { a: '\ude00\ud83d' }],
    ['a lone surrogate in a key', { a: { '\ud83d': 1 } }],
    ['U+0000 under a key called __proto__', parse('{"__proto__":{"a":"\\u0000"}}')],
    ['U+0000 in a string of its own', '\u0000'],
  ])('refuses %s as unstorable_text', (_, value) => {
    expect(refusal(value)).toBe('unstorable_text');
  });

  it('takes a key called __proto__ for a key', () => {
    expect(refusal(parse('{"__proto__":{"constructor":"x"}}'))).toBeNull();
  });

  it('refuses a number beyond double precision, which JSON.parse reads as infinite', () => {
    expect(refusal(parse('{"n":1e999}'))).toBe('invalid_request');
    expect(refusal(parse('{"n":[-1e999]}'))).toBe('invalid_request');
    expect(refusal({ n: NaN })).toBe('invalid_request');
  });

  it.each<[string, (inner: JsonValue) => JsonValue]>([
    ['objects', (inner) => ({ a: inner })],
    ['arrays', (inner) => [inner]],
  ])('takes %s 100 levels deep and refuses 101', (_, wrap) => {
    expect(refusal(nested(100, wrap))).toBeNull();
    expect(refusal(nested(101, wrap))).toBe('invalid_request');
  });

  it('counts levels only where there is something to nest', () => {
    expect(refusal(nested(99, (inner) => ({ a: inner, b: 'text', c: 1 })))).toBeNull();
  });

  it('does not overflow the stack on twenty thousand levels', () => {
    expect(refusal(nested(20_000, (inner) => [inner]))).toBe('invalid_request');
  });

  it('names the part of the body, and never what stands in it', () => {
    const hidden = 'my number is 12025550101';
    expect(() => assertStorable({ [`${hidden}\u0000`]: 1 }, 'metadata')).toThrow(/metadata/);
    expect(() => assertStorable({ [`${hidden}\u0000`]: 1 }, 'metadata')).not.toThrow(/12025550101/);
    expect(() => assertStorable({ a: `${hidden}\u0000` }, 'metadata')).not.toThrow(/12025550101/);
  });

  it('says where a number or the nesting is wrong', () => {
    expect(() => assertStorable({ n: Infinity }, 'state')).toThrow(
      expect.objectContaining({ fields: [{ path: 'state', message: 'number out of range' }] }),
    );
    expect(() =>
      assertStorable(
        nested(101, (inner) => [inner]),
        'state',
      ),
    ).toThrow(
      expect.objectContaining({ fields: [{ path: 'state', message: 'nested too deeply' }] }),
    );
  });
});

describe('storableText', () => {
  it.each([
    ['a\u0000b\u0000', 'ab'],
    ['\u0000', ''],
    ['cut \ud83d', 'cut \ufffd'],
    ['\ude00\ud83d', '\ufffd\ufffd'],
    ['\ud83d\u0000\ude00', '😀'],
    ['😀 é \uFFFF\u2028‮', '😀 é \uFFFF\u2028‮'],
    ['', ''],
  ])('makes %j into %j', (text, expected) => {
    expect(storableText(text)).toBe(expected);
  });

  it('gives what assertStorable takes', () => {
    expect(refusal(storableText('\u0000\ud83d\u0000 x \udfff'))).toBeNull();
  });
});

describe('isJsonObject', () => {
  it.each<[unknown, boolean]>([
    [{}, true],
    [[], false],
    [null, false],
    ['{}', false],
    [undefined, false],
    [1, false],
  ])('%j: %s', (value, expected) => {
    expect(isJsonObject(value)).toBe(expected);
  });
});
