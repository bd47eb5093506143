import { describe, expect, it } from 'vitest';
import { lockEntry, stateEntry } from '../../../lib/storage/cache/entries.ts';
import type { Version } from '../../../lib/storage/storage.ts';

// The cache's clock and the database's are 7 s apart here: only differences may count.

const now = new Date('2026-03-01T12:00:00.000Z');
const before = now.getTime() + 7_000;

const lockFor = (ms: number) => ({
  agent: 'billing',
  lockedAt: new Date(now.getTime() - 1_000),
  expiresAt: new Date(now.getTime() + ms),
  sessionTtl: 60,
  version: '42' as Version,
});

describe('a lock in the cache', () => {
  const entry = lockEntry(10_000);

  it.each([
    [60_000, 10_000],
    [10_001, 10_000],
    [9_999, 9_999],
    [1, 1],
  ])('that has %i ms left is kept for %i', (left, life) => {
    expect(entry.keep({ now, lock: lockFor(left) }, before)?.end).toBe(before + life);
  });

  it('comes back as it was, with the database’s clock gone on', () => {
    const lock = lockFor(5_000);
    const kept = entry.keep({ now, lock }, before);
    expect(entry.revive(kept?.value ?? '', before + 4_999)).toEqual({
      now: new Date(now.getTime() + 4_999),
      lock,
    });
  });

  it('is absent from its end on, should it still be there', () => {
    const { value } = entry.keep({ now, lock: lockFor(5_000) }, before) ?? { value: '' };
    expect(entry.revive(value, before + 4_999)?.lock).not.toBeNull();
    expect(entry.revive(value, before + 5_000)?.lock).toBeNull();
  });

  it('may be known not to be', () => {
    const kept = entry.keep({ now, lock: null }, before);
    expect(kept?.end).toBe(before + 10_000);
    expect(entry.revive(kept?.value ?? '', before)).toEqual({ now, lock: null });
  });
});

describe('a state in the cache', () => {
  const entry = stateEntry(10_000);
  const read = (state: object) => ({
    now,
    state: state as Record<string, string>,
    version: '7' as Version,
    updatedAt: now,
  });

  it('comes back as it was, whatever its keys', () => {
    const document = read(JSON.parse('{"__proto__":{"a":1},"constructor":[],"":null}') as object);
    const { value } = entry.keep(document, before) ?? { value: '' };
    expect(entry.revive(value, before)).toEqual(document);
    expect(Object.keys(entry.revive(value, before)?.state ?? {})).toContain('__proto__');
  });

  it('is not kept where it is large', () => {
    expect(entry.keep(read({ text: 'x'.repeat(65_000) }), before)).not.toBeNull();
    expect(entry.keep(read({ text: 'x'.repeat(66_000) }), before)).toBeNull();
  });
});

it('what was kept in another form is not read', () => {
  for (const value of ['{}', 'null', '{"before":1,"now":2,"lock":{"agent":"a"}}']) {
    expect(lockEntry(1).revive(value, 3)).toBeNull();
    expect(stateEntry(1).revive(value, 3)).toBeNull();
  }
});
