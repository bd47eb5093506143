import { expect, it } from 'vitest';
import { patienceFor } from '../../../lib/storage/postgres/patience.ts';

it.each([
  [0, 5_000],
  [32_768, 6_000],
  [327_680, 15_000],
  [16_777_216, 30_000],
])('a statement that carries %i bytes has %i ms', (bytes, ms) => {
  expect(patienceFor(bytes, 5_000)).toBe(ms);
});

it('never less than one that carries nothing', () => {
  expect(patienceFor(1_000, 60_000)).toBe(60_000);
});
