import { describe, expect, it } from 'vitest';
import { phoneKey } from '../../../lib/channels/whatsapp/phone.ts';

describe('the key of a phone number', () => {
  it.each([
    ['Mexico', '5215555550105', '525555550105'],
    ['Argentina', '5491155550107', '541155550107'],
    ['Brazil', '5511987654321', '551187654321'],
    ['Brazil, outside São Paulo', '5531988887777', '553188887777'],
  ])('is one for both spellings: %s', (_, long, short) => {
    expect(phoneKey(long)).toBe(phoneKey(short));
  });

  it.each([
    ['12025550101', '12025550101'],
    ['+1 202-555-0101', '12025550101'],
    ['+1 (202) 555.0101', '12025550101'],
    ['+1\u00a0202\u2011555\u20110101', '12025550101'],
    ['+52 1 55 5555 0105', '525555550105'],
  ])('is its digits, folded: %s', (written, key) => {
    expect(phoneKey(written)).toBe(key);
  });

  it.each([
    ['a Mexican number without a 1', '525555550105'],
    ['an Argentine number without a 9', '541155550107'],
    ['a Brazilian number of eight digits', '551187654321'],
    ['a number that only begins alike', '5219876543'],
    ['one of more digits', '52155555501051'],
    ['a British number', '447700900123'],
    ['a Spanish number', '34521555555'],
  ])('leaves alone %s', (_, written) => {
    expect(phoneKey(written)).toBe(written);
  });

  it.each([
    ['nothing', ''],
    ['no digits', '+'],
    ['digits of another script', '١٢٠٢٥٥٥٠١٠١'],
    ['a user id', 'US.10000000000000000101'],
    ['words', 'call 12025550101'],
    ['more digits than any number has', '1'.repeat(21)],
    ['more separators than anybody writes', `1${' '.repeat(40)}2`],
  ])('is none for %s', (_, written) => {
    expect(phoneKey(written)).toBeNull();
  });
});
