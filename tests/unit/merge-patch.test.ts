import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JsonObject, type JsonValue, parseJson } from '../../lib/json.ts';
import { diffPatch, mergePatch } from '../../lib/merge-patch.ts';
import { anyDocument, documentWithoutNulls, print } from '../support/documents.ts';

const parse = (text: string) => parseJson(text) as JsonObject;

describe('mergePatch', () => {
  // https://www.rfc-editor.org/rfc/rfc7396#appendix-A
  it.each<[JsonValue, JsonValue, JsonValue]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('RFC 7396, appendix A: %j patched with %j is %j', (original, patch, result) => {
    expect(mergePatch(original, patch)).toStrictEqual(result);
  });

  it('begins from nothing where there is no document', () => {
    expect(mergePatch(undefined, { a: { b: null, c: 1 } })).toStrictEqual({ a: { c: 1 } });
  });

  it('keeps nulls inside arrays, which a patch replaces whole', () => {
    expect(mergePatch({}, { a: [null, { b: null }] })).toStrictEqual({ a: [null, { b: null }] });
  });

  it('changes neither the document nor the patch', () => {
    const document = { a: { b: 1 }, c: [1] };
    const patch = { a: { b: null, d: 2 }, c: null };
    mergePatch(document, patch);
    expect(document).toStrictEqual({ a: { b: 1 }, c: [1] });
    expect(patch).toStrictEqual({ a: { b: null, d: 2 }, c: null });
  });

  it('takes __proto__ for a key like any other', () => {
    const merged = mergePatch({}, parse('{"__proto__":{"polluted":true}}'));
    expect(JSON.stringify(merged)).toBe('{"__proto__":{"polluted":true}}');
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect({}).not.toHaveProperty('polluted');
    expect(
      JSON.stringify(mergePatch(merged, parse('{"__proto__":{"polluted":null,"more":1}}'))),
    ).toBe('{"__proto__":{"more":1}}');
    expect(JSON.stringify(mergePatch(merged, parse('{"__proto__":null}')))).toBe('{}');
  });

  it('does not merge into what every object inherits', () => {
    const patch = '{"constructor":{"prototype":{"polluted":true}},"toString":{"a":1}}';
    expect(JSON.stringify(mergePatch({}, parse(patch)))).toBe(patch);
    expect({}).not.toHaveProperty('polluted');
  });
});

describe('diffPatch', () => {
  it('leads from any document to any other that a merge patch can lead to', () => {
    fc.assert(
      fc.property(anyDocument, documentWithoutNulls, (before, after) => {
        expect(print(mergePatch(before, diffPatch(before, after)))).toBe(print(after));
      }),
      { numRuns: 500 },
    );
  });

  it('leads there also after it was printed and read again', () => {
    fc.assert(
      fc.property(anyDocument, documentWithoutNulls, (before, after) => {
        const sent = parse(JSON.stringify(diffPatch(before, after)));
        expect(print(mergePatch(before, sent))).toBe(print(after));
      }),
    );
  });

  it('is empty for a document and itself', () => {
    fc.assert(
      fc.property(anyDocument, (document) => {
        expect(print(diffPatch(document, structuredClone(document)))).toBe('{}');
      }),
    );
  });

  it('names only what changed, however deep', () => {
    const before = {
      kept: { a: 1, b: [1, 2] },
      changed: { same: 1, other: 'x', gone: true },
      gone: {},
    };
    const after = { kept: { b: [1, 2], a: 1 }, changed: { same: 1, other: 'y' }, added: { c: {} } };
    expect(diffPatch(before, after)).toStrictEqual({
      changed: { other: 'y', gone: null },
      added: { c: {} },
      gone: null,
    });
  });

  it('joins "forget a part" and "begin it anew" into one patch that leaves nothing of the old part', () => {
    const before = { part: { old: 1, shared: 1 } };
    const after = { part: { shared: 2 } };
    expect(diffPatch(before, after)).toStrictEqual({ part: { old: null, shared: 2 } });
  });

  it('takes __proto__ for a key like any other', () => {
    const before = parse('{"__proto__":{"a":1},"b":1}');
    const after = parse('{"__proto__":{"a":2},"b":1}');
    expect(JSON.stringify(diffPatch(before, after))).toBe('{"__proto__":{"a":2}}');
    expect(JSON.stringify(diffPatch(before, { b: 1 }))).toBe('{"__proto__":null}');
    expect(JSON.stringify(diffPatch({ b: 1 }, after))).toBe('{"__proto__":{"a":2}}');
  });
});
