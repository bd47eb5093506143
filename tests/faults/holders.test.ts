import { describe, expect, test } from 'vitest';
import { contended, type Grant, lateWrites, offClock, overlaps } from './holders.ts';

const grant = (some: Partial<Grant>): Grant => ({
  device: 'a',
  token: 1n,
  since: 1_000,
  until: 2_000,
  released: null,
  from: 995,
  to: 1_005,
  ...some,
});

describe('turns at the same time', () => {
  test.each<[string, Partial<Grant>, number]>([
    ['behind the end of the first', { token: 2n, since: 2_000 }, 0],
    ['before its end', { token: 2n, since: 1_990 }, 1],
    ['before its end, on another device', { device: 'b', token: 2n, since: 1_990 }, 0],
    ['behind it with an older token', { token: 1n, since: 2_000 }, 1],
  ])('a second one %s', (_, second, found) => {
    expect(overlaps([grant({}), grant(second)])).toBe(found);
  });

  test('a second one after the first was released', () => {
    const second = grant({ token: 2n, since: 1_500 });
    expect(overlaps([grant({ released: 1_500 }), second])).toBe(0);
    expect(overlaps([grant({ released: 1_600 }), second])).toBe(1);
  });
});

test('a write is late once a newer turn was given before it was begun', () => {
  const grants = [grant({}), grant({ token: 2n, since: 2_000 })];
  const write = (token: bigint, from: number) => [{ device: 'a', token, from }];
  expect(lateWrites(grants, write(1n, 1_990))).toBe(0);
  expect(lateWrites(grants, write(1n, 2_010))).toBe(1);
  expect(lateWrites(grants, write(2n, 2_010))).toBe(0);
});

test('a turn that did not begin while it was asked for is off the clock', () => {
  expect(offClock([grant({})])).toBe(0);
  expect(offClock([grant({ since: 301_000 })])).toBe(1);
  expect(offClock([grant({ since: -299_000 })])).toBe(1);
});

test('a turn is contended if somebody else asks while it is held', () => {
  const asked = (from: number) => [{ device: 'a', from, to: from + 10 }];
  expect(contended([grant({})], asked(1_500))).toBe(1);
  expect(contended([grant({})], asked(2_500))).toBe(0);
  expect(contended([grant({})], [{ device: 'a', from: 995, to: 1_005 }])).toBe(0);
});
