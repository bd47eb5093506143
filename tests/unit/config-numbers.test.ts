import { describe, expect, it } from 'vitest';
import { configOf, integers, mistakesOf } from '../support/settings.ts';

describe.each(integers)('$name', ({ name, of, fallback, min, max }) => {
  it(`is ${fallback} unless set`, () => {
    expect(of(configOf({}))).toBe(fallback);
  });

  it(`takes whole numbers from ${min} to ${max}`, () => {
    expect(of(configOf({ [name]: String(min) }))).toBe(min);
    expect(of(configOf({ [name]: String(max) }))).toBe(max);
  });

  it.each([
    String(min - 1),
    String(max + 1),
    '1.5',
    '1e2',
    '0x10',
    '12s',
    'Infinity',
    'NaN',
    '१२',
    '99999999999999999999',
  ])('refuses %s and says what it may be', (value) => {
    expect(mistakesOf({ [name]: value })).toEqual([
      `${name} must be a whole number from ${min} to ${max}.`,
    ]);
  });
});
