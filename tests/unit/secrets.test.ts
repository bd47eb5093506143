import { describe, expect, it } from 'vitest';
import { isSignedBy, keyOf, matchesAny, toSecret } from '../../lib/secrets.ts';
import { signBytes } from '../support/sign.ts';

const secretsOf = (...texts: string[]) => texts.map(toSecret);

describe('matchesAny', () => {
  it('finds the candidate wherever it stands', () => {
    expect(matchesAny('b', secretsOf('a', 'b', 'c'))).toBe(true);
    expect(matchesAny('a', secretsOf('a', 'b'))).toBe(true);
    expect(matchesAny('c', secretsOf('a', 'b', 'c'))).toBe(true);
    expect(matchesAny('a', secretsOf('a', 'a'))).toBe(true);
  });

  it.each(['', 'A', 'a ', 'aa', ' a', 'a\u0000', 'b'])('does not take %j for "a"', (candidate) => {
    expect(matchesAny(candidate, secretsOf('a'))).toBe(false);
  });

  it('takes nothing where no secret is set', () => {
    expect(matchesAny('a', [])).toBe(false);
    expect(matchesAny('', [])).toBe(false);
  });

  it('never takes an empty candidate for an empty secret', () => {
    expect(matchesAny('', secretsOf(''))).toBe(false);
    expect(matchesAny('', secretsOf('', 'a', ''))).toBe(false);
  });

  it('takes a good secret beside an empty one', () => {
    expect(matchesAny('a', secretsOf('', 'a'))).toBe(true);
    expect(matchesAny('a', secretsOf('a', ''))).toBe(true);
  });

  it('compares secrets of any length and alphabet', () => {
    expect(matchesAny('é'.repeat(5_000), secretsOf('x', 'é'.repeat(5_000)))).toBe(true);
    expect(matchesAny('é'.repeat(5_000), secretsOf('é'.repeat(4_999)))).toBe(false);
  });
});

describe('isSignedBy', () => {
  // RFC 4231, test case 2
  const bytes = Buffer.from('what do ya want for nothing?');
  const signature = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';

  it('takes HMAC-SHA-256 in lower-case hexadecimal, by any of the secrets', () => {
    expect(isSignedBy(bytes, signature, secretsOf('Jefe'))).toBe(true);
    expect(isSignedBy(bytes, signature, secretsOf('other', 'Jefe'))).toBe(true);
    expect(isSignedBy(bytes, signature, secretsOf('other'))).toBe(false);
    expect(isSignedBy(bytes, signature, [])).toBe(false);
    expect(isSignedBy(bytes, signature.toUpperCase(), secretsOf('Jefe'))).toBe(false);
  });

  it('is over bytes, whether or not they are text', () => {
    const broken = Uint8Array.of(0xc3, 0x28);
    expect(isSignedBy(broken, signBytes(broken, 'Jefe'), secretsOf('Jefe'))).toBe(true);
    const asText = signBytes(Buffer.from('\ufffd('), 'Jefe');
    expect(isSignedBy(broken, asText, secretsOf('Jefe'))).toBe(false);
  });
});

it('keyOf gives the bytes of the secret', () => {
  expect(keyOf(toSecret('Jefé'))).toEqual(new Uint8Array([0x4a, 0x65, 0x66, 0xc3, 0xa9]));
});
