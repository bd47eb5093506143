import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatonError } from '../../lib/errors.ts';
import {
  assertStorable,
  inOrder,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseJson,
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

describe('inOrder', () => {
  it('prints equal documents the same, whatever the order of their keys', () => {
    const one = parseJson(
      '{"b":[{"z":1,"a":null}],"aa":{"y":"","x":[]},"__proto__":{"d":1,"c":2}}',
    );
    const other = parseJson(
      '{"__proto__":{"c":2,"d":1},"aa":{"x":[],"y":""},"b":[{"a":null,"z":1}]}',
    );
    const text = JSON.stringify(inOrder(one as JsonObject));
    expect(text).toBe(JSON.stringify(inOrder(other as JsonObject)));
    expect(text).toBe('{"__proto__":{"c":2,"d":1},"aa":{"x":[],"y":""},"b":[{"a":null,"z":1}]}');
  });

  it('changes nothing but the order', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(inOrder(value as JsonValue)).toEqual(value);
      }),
    );
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

describe('parseJson', () => {
  it.each([
    ['\\', '"'],
    ['\\', '\n'],
    ['\\', '\b'],
    ['b\\', 'b"'],
    ['\\n', '\nb'],
    ['a\\u', 'a\u0001b'],
  ])('reads a key as it is after another, %j, stood in its place: %j', (other, key) => {
    parseJson(JSON.stringify({ place: 1, [other]: 2, inside: { [other]: 1 } }));
    const document = { place: 1, [key]: 2, inside: { [key]: 1 } };
    expect(parseJson(JSON.stringify(document))).toStrictEqual(document);
    expect(parseJson(JSON.stringify(document, null, 2))).toStrictEqual(document);
  });

  it('reads any document as it was written', () => {
    const sign = fc.constantFrom(
      '\\',
      '"',
      '\n',
      '\u2028',
      '{',
      '}',
      ':',
      'a',
      'of',
      '__proto__',
      'é',
      '\u0000',
    );
    const text = fc.string({ unit: sign, maxLength: 3 });
    const { document } = fc.letrec<{ document: unknown }>((tie) => ({
      document: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.constantFrom(0, -0.5, 1e300, true, false, null),
        fc.array(tie('document'), { maxLength: 3 }),
        fc.dictionary(text, tie('document'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(document, (one) => {
        const written = JSON.stringify(one);
        expect(JSON.stringify(parseJson(written))).toBe(written);
      }),
      { numRuns: 3_000 },
    );
  });

  it('refuses what is not JSON, whatever its keys', () => {
    for (const text of ['', '{"a\\"":}', '{"\\n":1', '{"\\x":1}', '["\\n":1]'])
      expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  it('reads what is nested deeper than it can look into', () => {
    const deep = `${'{"\\n":['.repeat(50_000)}${']}'.repeat(50_000)}`;
    expect(parseJson(deep)).toBeTypeOf('object');
  });
});
