import { describe, expect, it } from 'vitest';
import { addressOf, boundAddresses } from '../../../lib/access/addresses.ts';

describe('boundAddresses', () => {
  it('lets each address do it so many times, and again once the span is over', () => {
    let at = 0;
    const bound = boundAddresses(2, 1_000, 10, () => at);
    expect([bound.take('a'), bound.take('a'), bound.take('a'), bound.take('b')]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    at = 999;
    expect(bound.take('a')).toBe(false);
    at = 1_000;
    expect([bound.take('a'), bound.take('a'), bound.take('a')]).toEqual([true, true, false]);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:1:2:3', true],
    ['2001:DB8:0001:0002:0:0:0:1', '2001:db8:1:2::9', true],
    ['2001:db8::1', '2001:db8:0:0:5::', true],
    ['::1', '0:0:0:0:0:0:0:2', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['203.0.113.1', '203.0.113.2', false],
    ['::ffff:203.0.113.1', '::ffff:203.0.113.2', false],
  ])('%s and %s are one network: %s', (one, two, same) => {
    const bound = boundAddresses(1, 1_000);
    bound.take(one);
    expect(bound.take(two)).toBe(!same);
  });

  it('remembers no more addresses than it may, and forgets the oldest', () => {
    const bound = boundAddresses(1, 1_000, 3, () => 0);
    for (const address of ['a', 'b', 'c', 'd']) bound.take(address);
    expect([bound.take('d'), bound.take('a')]).toEqual([false, true]);
  });
});

describe('addressOf', () => {
  it.each<[Record<string, string>, string]>([
    [{ 'x-real-ip': '203.0.113.1', 'x-forwarded-for': '203.0.113.2' }, '203.0.113.1'],
    [{ 'x-forwarded-for': '203.0.113.2, 10.0.0.1' }, '203.0.113.2'],
    [{}, ''],
  ])('of %j is %j', (headers, address) => {
    expect(addressOf(new Headers(headers))).toBe(address);
  });
});
