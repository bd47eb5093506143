import { describe, expect, it } from 'vitest';
import { etagOf, readGuard } from '../../../lib/http/guards.ts';
import type { Version } from '../../../lib/storage/storage.ts';
import { codeOf } from '../../support/refusals.ts';

const guardOf = (headers: Record<string, string>) => readGuard(new Headers(headers));

describe('etagOf', () => {
  it('quotes a version', () => {
    expect(etagOf('42' as Version)).toEqual({ etag: '"42"' });
  });

  it('is no header where there is no version', () => {
    expect(etagOf(null)).toEqual({});
  });

  it('is what If-Match takes back', () => {
    const tag = etagOf('981' as Version)['etag'] ?? '';
    expect(guardOf({ 'if-match': tag })).toEqual({ kind: 'present', versions: ['981'] });
  });
});

describe('readGuard', () => {
  it('asks for nothing without a condition', () => {
    expect(guardOf({})).toEqual({ kind: 'none' });
  });

  it('If-None-Match: * asks for nothing to be there', () => {
    expect(guardOf({ 'if-none-match': '*' })).toEqual({ kind: 'absent' });
    expect(guardOf({ 'if-none-match': ' * ' })).toEqual({ kind: 'absent' });
  });

  it('If-Match: * asks for anything to be there', () => {
    expect(guardOf({ 'if-match': '*' })).toEqual({ kind: 'present', versions: [] });
  });

  it.each([
    ['"42"', ['42']],
    ['"42", "43"', ['42', '43']],
    ['"42","43" ,"44"', ['42', '43', '44']],
    ['W/"42", "43"', ['43']],
    ['"999999999999999999"', ['999999999999999999']],
  ])('If-Match: %s asks for one of these versions', (header, versions) => {
    expect(guardOf({ 'if-match': header })).toEqual({ kind: 'present', versions });
  });

  it.each([
    'W/"42"',
    '42',
    '"abc"',
    '"42',
    '""',
    '',
    '"-1"',
    '"4.2"',
    '"1000000000000000000"',
    '"0x2a"',
    '"42" "43"',
  ])('If-Match: %s matches nothing, and never just anything', (header) => {
    const guard = guardOf({ 'if-match': header });
    if (guard.kind !== 'present') throw new Error('a condition was passed over');
    expect(guard.versions).not.toEqual([]);
    // versions are positive
    for (const version of guard.versions) expect(Number(version)).toBeLessThan(0);
  });

  it.each<Record<string, string>>([
    { 'if-none-match': '"42"' },
    { 'if-none-match': '' },
    { 'if-none-match': '*, "42"' },
    { 'if-none-match': '*', 'if-match': '"42"' },
    { 'if-none-match': '*', 'if-match': '*' },
  ])('refuses %j, which it could not keep, rather than write unguarded', (headers) => {
    expect(codeOf(() => guardOf(headers))).toBe('invalid_request');
  });
});
