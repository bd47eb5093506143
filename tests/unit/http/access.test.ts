import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../lib/config.ts';
import { authorize, bearerOf } from '../../../lib/http/access.ts';
import { codeOf } from '../../support/refusals.ts';

const key = 'k'.repeat(32);
const older = 'o'.repeat(32);
const secret = 's'.repeat(32);

function callWith(
  authorization: string | null,
  env: Record<string, string>,
  access: 'device' | 'own-proof' = 'device',
) {
  const result = readConfig(env);
  if (!result.ok) throw new Error(result.mistakes.join('\n'));
  const headers = new Headers(authorization === null ? {} : { authorization });
  return codeOf(() => authorize(headers, result.config, access));
}

describe('bearerOf', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer abc', 'abc'],
    ['BEARER   abc  ', 'abc'],
    ['Bearer a.b-c_d~e+f/g==', 'a.b-c_d~e+f/g=='],
  ])('reads %j', (header, token) => {
    expect(bearerOf(new Headers({ authorization: header }))).toBe(token);
  });

  it.each([
    '',
    'Bearer',
    'Bearer ',
    'Basic abc',
    'abc',
    'Bearerabc',
    'Bearer a b',
    'Token Bearer abc',
  ])('finds no token in %j', (header) => {
    expect(bearerOf(new Headers({ authorization: header }))).toBeNull();
  });

  it('finds none where there is no header', () => {
    expect(bearerOf(new Headers())).toBeNull();
  });
});

describe('authorize', () => {
  it('takes any of the API keys', () => {
    expect(callWith(`Bearer ${key}`, { API_KEYS: `${key},${older}` })).toBeNull();
    expect(callWith(`Bearer ${older}`, { API_KEYS: `${key},${older}` })).toBeNull();
  });

  it.each([
    ['none', null],
    ['a wrong one', `Bearer ${'x'.repeat(32)}`],
    ['an empty one', 'Bearer '],
    ['the beginning of a key', `Bearer ${key.slice(0, 31)}`],
    ['a key and more', `Bearer ${key}k`],
    ['both keys as they stand in the setting', `Bearer ${key},${older}`],
    ['a key under another scheme', `Basic ${key}`],
    ['a key in another letter case', `Bearer ${key.toUpperCase()}`],
  ])('refuses a credential: %s', (_, header) => {
    expect(callWith(header, { API_KEYS: `${key},${older}` })).toBe('unauthorized');
  });

  it('stands open without API keys, outside production', () => {
    expect(callWith(null, {})).toBeNull();
    expect(callWith('Bearer whatever', { VERCEL_ENV: 'preview' })).toBeNull();
  });

  it.each<[string, Record<string, string>]>([
    ['both', {}],
    ['API_KEYS', { DEVICE_TOKEN_SECRET: secret }],
    ['DEVICE_TOKEN_SECRET', { API_KEYS: key }],
  ])('in production answers not_configured, to everybody, where %s is missing', (_, env) => {
    expect(callWith(null, { ...env, VERCEL_ENV: 'production' })).toBe('not_configured');
    expect(callWith(`Bearer ${key}`, { ...env, VERCEL_ENV: 'production' })).toBe('not_configured');
  });

  it('in production takes a key where both are set, and nothing else', () => {
    const env = { API_KEYS: key, DEVICE_TOKEN_SECRET: secret, VERCEL_ENV: 'production' };
    expect(callWith(`Bearer ${key}`, env)).toBeNull();
    expect(callWith(null, env)).toBe('unauthorized');
    expect(callWith(`Bearer ${secret}`, env)).toBe('unauthorized');
  });

  it('leaves a route that asks for a proof of its own to that proof', () => {
    expect(callWith(null, { API_KEYS: key }, 'own-proof')).toBeNull();
    expect(callWith(null, { VERCEL_ENV: 'production' }, 'own-proof')).toBeNull();
  });
});
