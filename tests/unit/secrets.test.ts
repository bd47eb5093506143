import { describe, expect, it } from 'vitest';
import { matchesAny, signBytes } from '../../lib/secrets.ts';

describe('matchesAny', () => {
  it('finds the candidate wherever it stands', () => {
    expect(matchesAny('b', ['a', 'b', 'c'])).toBe(true);
    expect(matchesAny('a', ['a', 'b'])).toBe(true);
    expect(matchesAny('c', ['a', 'b', 'c'])).toBe(true);
    expect(matchesAny('a', ['a', 'a'])).toBe(true);
  });

  it.each(['', 'A', 'a ', 'aa', ' a', 'a\u0000', 'b'])('does not take %j for "a"', (candidate) => {
    expect(matchesAny(candidate, ['a'])).toBe(false);
  });

  it('takes nothing where no secret is set', () => {
    expect(matchesAny('a', [])).toBe(false);
    expect(matchesAny('', [])).toBe(false);
  });

  it('never takes an empty candidate for an empty secret', () => {
    expect(matchesAny('', [''])).toBe(false);
    expect(matchesAny('', ['', 'a', ''])).toBe(false);
  });

  it('takes a good secret beside an empty one', () => {
    expect(matchesAny('a', ['', 'a'])).toBe(true);
    expect(matchesAny('a', ['a', ''])).toBe(true);
  });

  it('compares secrets of any length and alphabet', () => {
    expect(matchesAny('é'.repeat(5_000), ['x', 'é'.repeat(5_000)])).toBe(true);
    expect(matchesAny('é'.repeat(5_000), ['é'.repeat(4_999)])).toBe(false);
  });
});

describe('signBytes', () => {
  // RFC 4231, test case 2
  it('is HMAC-SHA-256 in lower-case hexadecimal', () => {
    expect(signBytes(Buffer.from('what do ya want for nothing?'), 'Jefe')).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });

  it('signs bytes, whether or not they are text', () => {
    const broken = Uint8Array.of(0xc3, 0x28);
    expect(signBytes(broken, 'Jefe')).not.toBe(signBytes(Buffer.from('\ufffd('), 'Jefe'));
  });
});
