import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyUserToken } from '../../../lib/access/user-tokens.ts';
import { type Config, readConfig } from '../../../lib/config.ts';
import { BatonError } from '../../../lib/errors.ts';
import { captureLog } from '../../support/logged.ts';
import { forge, now } from '../../support/tokens.ts';

const issuer = 'https://login.example';
const audience = 'shop';
const secret = 'i'.repeat(32);
const claims = { iss: issuer, aud: audience, sub: 'auth0|7' };
const soon = () => now() + 60;

const events = captureLog();

function configOf(env: Record<string, string>): Config {
  const names = { USER_JWT_ISSUER: issuer, USER_JWT_AUDIENCE: audience };
  const result = readConfig({ ...names, ...env });
  if (!result.ok) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

/** The user, or the code of the refusal. */
async function userOf(token: string, config: Config): Promise<string> {
  return verifyUserToken(token, config).catch((error: unknown) => {
    if (error instanceof BatonError) return error.code;
    throw error;
  });
}

describe('signed with USER_JWT_SECRET', () => {
  const config = configOf({ USER_JWT_SECRET: `${secret},${'j'.repeat(32)}` });
  const header = { alg: 'HS256', typ: 'JWT' };
  const good = { ...claims, exp: soon() };

  it.each([secret, 'j'.repeat(32)])('says who is logged in, under each secret', async (each) => {
    expect(await userOf(forge(header, good, each), config)).toBe('auth0|7');
  });

  it.each<[string, string]>([
    ['of another issuer', forge(header, { ...good, iss: 'https://evil.example' }, secret)],
    ['for another audience', forge(header, { ...good, aud: 'warehouse' }, secret)],
    ['that has expired', forge(header, { ...good, exp: now() - 1 }, secret)],
    ['without an expiry', forge(header, claims, secret)],
    ['without a subject', forge(header, { ...good, sub: undefined }, secret)],
    ['of an empty subject', forge(header, { ...good, sub: '' }, secret)],
    ['of a subject that cannot be stored', forge(header, { ...good, sub: 'a\u0000b' }, secret)],
    ['of a subject of 256 characters', forge(header, { ...good, sub: 'x'.repeat(256) }, secret)],
    ['of a subject that is a number', forge(header, { ...good, sub: 7 }, secret)],
    ['of alg none', forge({ alg: 'none' }, good, null)],
    ['of HS512', forge({ alg: 'HS512' }, good, secret, 'sha512')],
    ['of another secret', forge(header, good, 'x'.repeat(32))],
    ['that is none', 'x'],
  ])('one %s is refused', async (_, token) => {
    expect(await userOf(token, config)).toBe('unauthorized');
  });
});

describe('signed with a key of USER_JWT_JWKS_URL', () => {
  let server: Server;
  let url: string;
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  let answer: { status: number; body: string };
  let fetched = 0;

  beforeAll(async () => {
    keys = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };
    answer = { status: 200, body: JSON.stringify({ keys: [jwk] }) };
    server = createServer((_request, response) => {
      fetched++;
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    });
    await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  const sign = (payload: JWTPayload, key = keys.privateKey, kid = 'one') =>
    new SignJWT({ exp: soon(), ...payload }).setProtectedHeader({ alg: 'ES256', kid }).sign(key);

  it('says who is logged in; the keys are fetched once', async () => {
    const config = configOf({ USER_JWT_JWKS_URL: `${url}/once` });
    const before = fetched;
    for (let i = 0; i < 3; i++) {
      expect(await userOf(await sign(claims), config)).toBe('auth0|7');
    }
    expect(fetched - before).toBe(1);
  });

  it('is refused with another issuer, audience, expiry or key', async () => {
    const config = configOf({ USER_JWT_JWKS_URL: `${url}/refused` });
    const stranger = await generateKeyPair('ES256');
    for (const token of [
      await sign({ ...claims, iss: 'https://evil.example' }),
      await sign({ ...claims, aud: 'warehouse' }),
      await sign({ ...claims, exp: now() - 1 }),
      await sign(claims, stranger.privateKey),
      await sign(claims, keys.privateKey, 'two'),
    ]) {
      expect(await userOf(token, config)).toBe('unauthorized');
    }
  });

  it('is refused where the public key was made the secret of an HMAC', async () => {
    const config = configOf({ USER_JWT_JWKS_URL: `${url}/confused` });
    const pem = await exportSPKI(keys.publicKey);
    const token = forge({ alg: 'HS256', kid: 'one' }, { ...claims, exp: soon() }, pem);
    expect(await userOf(token, config)).toBe('unauthorized');
  });

  it.each([
    ['answers 500', { status: 500, body: '' }],
    ['answers no JSON', { status: 200, body: '<html>' }],
    ['answers no key set', { status: 200, body: '{"keys":1}' }],
  ])(
    'while the provider %s it is 503, and a line in the log without the token',
    async (name, broken) => {
      const whole = answer;
      answer = broken;
      try {
        const config = configOf({ USER_JWT_JWKS_URL: `${url}/${encodeURIComponent(name)}` });
        const token = await sign(claims);
        expect(await userOf(token, config)).toBe('identity_unavailable');
        expect(events).toMatchObject([{ level: 'error', event: 'identity_unavailable' }]);
        expect(JSON.stringify(events)).not.toContain(token.split('.')[1]);
        answer = whole;
        expect(await userOf(token, config)).toBe('auth0|7');
      } finally {
        answer = whole;
      }
    },
  );

  it('while nobody answers it is 503 as well', async () => {
    const config = configOf({ USER_JWT_JWKS_URL: 'http://127.0.0.1:1/keys' });
    expect(await userOf(await sign(claims), config)).toBe('identity_unavailable');
  });
});

describe('without an identity provider', () => {
  it('no token is taken', async () => {
    const result = readConfig({});
    if (!result.ok) throw new Error(result.mistakes.join('\n'));
    expect(await userOf('x', result.config)).toBe('invalid_request');
  });
});
