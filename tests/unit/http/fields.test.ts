import { describe, expect, it } from 'vitest';
import { document, messageId, sessionTtl, token } from '../../../lib/http/fields.ts';

describe('document', () => {
  it.each([{}, { a: [null] }])('takes %j', (value) => {
    expect(document.safeParse(value).success).toBe(true);
  });

  it.each([[], null, 'text', 1])('refuses %j', (value) => {
    expect(document.safeParse(value).success).toBe(false);
  });
});

describe('messageId', () => {
  it.each(['1', 'wamid.HBgL', 'x'.repeat(512), '😀', ' '])(
    "takes an id of the caller's own making",
    (value) => {
      expect(messageId.safeParse(value).success).toBe(true);
    },
  );

  it.each<unknown>(['', 'x'.repeat(513), 'a\u0000', '\ud83d', 7, null])(
    'refuses one that could not be stored',
    (value) => {
      expect(messageId.safeParse(value).success).toBe(false);
    },
  );
});

describe('token', () => {
  it.each(['1', '981', '9'.repeat(18)])('takes %s', (value) => {
    expect(token.safeParse(value).success).toBe(true);
  });

  it.each<unknown>(['', '9'.repeat(19), '-1', '1.0', ' 1', '1\n', 'abc', 981, null])(
    'refuses %j',
    (value) => {
      expect(token.safeParse(value).success).toBe(false);
    },
  );
});

describe('sessionTtl', () => {
  it.each([1, 86_400, 2_592_000])('takes %d seconds', (value) => {
    expect(sessionTtl.safeParse(value).success).toBe(true);
  });

  it.each<unknown>([0, -1, 2_592_001, 1.5, Infinity, NaN, '60', null])('refuses %s', (value) => {
    expect(sessionTtl.safeParse(value).success).toBe(false);
  });
});
