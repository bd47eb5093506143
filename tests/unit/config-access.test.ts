import { describe, expect, it } from 'vitest';
import { configOf, type Environment, mistakesOf } from '../support/settings.ts';

const secret = 's'.repeat(32);
const names = { USER_JWT_ISSUER: 'https://login.example', USER_JWT_AUDIENCE: 'shop' };

describe('open mode', () => {
  it.each<[string, Environment, boolean]>([
    ['nothing is set', {}, true],
    ['it is a preview', { VERCEL_ENV: 'preview' }, true],
    ['there are API keys', { API_KEYS: secret }, false],
    ['it is production', { VERCEL_ENV: 'production' }, false],
    ['it is production, with API keys', { VERCEL_ENV: 'production', API_KEYS: secret }, false],
  ])('where %s', (_, env, open) => {
    expect(configOf(env).openMode).toBe(open);
  });
});

describe("users' tokens", () => {
  it('have their keys at a URL', () => {
    const env = { ...names, USER_JWT_JWKS_URL: 'https://login.example/jwks.json' };
    expect(configOf(env).userTokens).toEqual({
      issuer: 'https://login.example',
      audience: 'shop',
      keys: { jwksUrl: 'https://login.example/jwks.json' },
    });
  });

  it('or a ring of secrets', () => {
    const env = { ...names, USER_JWT_SECRET: `${secret}, ${'t'.repeat(32)}` };
    expect(configOf(env).userTokens).toMatchObject({
      keys: { secrets: [secret, 't'.repeat(32)] },
    });
  });

  it.each(['http://localhost:9/keys', 'http://127.0.0.1:9/keys'])(
    'may be at %s, on the same machine',
    (url) => {
      expect(configOf({ ...names, USER_JWT_JWKS_URL: url }).userTokens).toMatchObject({
        keys: { jwksUrl: url },
      });
    },
  );

  it.each<[string, Environment, string]>([
    ['over plain HTTP', { ...names, USER_JWT_JWKS_URL: 'http://login.example/keys' }, 'JWKS_URL'],
    ['at a lookalike', { ...names, USER_JWT_JWKS_URL: 'http://localhost.example/' }, 'JWKS_URL'],
    ['from nowhere', names, 'JWKS_URL'],
    ['signed with little', { ...names, USER_JWT_SECRET: 'short' }, 'SECRET'],
    [
      'both ways',
      { ...names, USER_JWT_SECRET: secret, USER_JWT_JWKS_URL: 'https://login.example/keys' },
      'SECRET',
    ],
    ['of any issuer', { USER_JWT_SECRET: secret, USER_JWT_AUDIENCE: 'shop' }, 'ISSUER'],
    ['for any audience', { USER_JWT_SECRET: secret, USER_JWT_ISSUER: 'https://l' }, 'AUDIENCE'],
  ])('are not taken %s', (_, env, name) => {
    const mistakes = mistakesOf(env);
    expect(mistakes[0]).toMatch(new RegExp(`^USER_JWT_${name} must be [^\\n]+\\.$`));
  });
});

describe('ALLOWED_ORIGINS', () => {
  it('is nothing in production, and elsewhere the pages of the same machine', () => {
    expect(configOf({ VERCEL_ENV: 'production' }).allowedOrigins).toEqual([]);
    expect(configOf({}).allowedOrigins).toEqual(['http://localhost:*', 'http://127.0.0.1:*']);
  });

  it('is a list, also of apps that have a scheme of their own', () => {
    const list = 'https://shop.example, http://localhost:5173,capacitor://localhost,https://a.b:*';
    expect(configOf({ ALLOWED_ORIGINS: list, VERCEL_ENV: 'production' }).allowedOrigins).toEqual([
      'https://shop.example',
      'http://localhost:5173',
      'capacitor://localhost',
      'https://a.b:*',
    ]);
    expect(configOf({ ALLOWED_ORIGINS: '*' }).allowedOrigins).toEqual(['*']);
  });

  it.each([
    'shop.example',
    'https://shop.example/',
    'https://shop.example/path',
    'https://Shop.example',
    'https://*.shop.example',
    'null',
    'https://',
  ])('refuses %s, which no browser sends', (origin) => {
    expect(mistakesOf({ ALLOWED_ORIGINS: origin })).toEqual([
      'ALLOWED_ORIGINS must be origins such as https://shop.example, without a path, in lower case.',
    ]);
  });
});
