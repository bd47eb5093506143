import { createHmac } from 'node:crypto';

const encode = (value: object | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export const now = (): number => Math.floor(Date.now() / 1_000);

/**
 * A JWT made by hand, so that it can be wrong in every way a library would not let it be.
 *
 * @param secret null: no signature
 */
export function forge(
  header: Record<string, unknown>,
  payload: Record<string, unknown>,
  secret: string | null,
  hash = 'sha256',
): string {
  const signed = `${encode(header)}.${encode(payload)}`;
  const signature =
    secret === null ? '' : createHmac(hash, secret).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}

/** The parts of a JWT, as they were signed. */
export function partsOf(token: string): {
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
} {
  const [header = '', payload = ''] = token.split('.');
  const parse = (part: string) =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  return { header: parse(header), payload: parse(payload) };
}

/** Tokens that a device token's verification must refuse, each made of a good one. */
export function badTokens(good: string, secret: string): readonly (readonly [string, string])[] {
  const { header, payload } = partsOf(good);
  const [signedHeader = '', signedPayload = '', signature = ''] = good.split('.');
  const without = (claim: string) =>
    Object.fromEntries(Object.entries(payload).filter(([name]) => name !== claim));
  const of = (changes: Record<string, unknown>) =>
    forge(header, { ...payload, ...changes }, secret);
  return [
    ['alg none', forge({ ...header, alg: 'none' }, payload, null)],
    ['alg None', forge({ ...header, alg: 'None' }, payload, null)],
    [
      'alg none with the signature of the good one',
      `${encode({ alg: 'none' })}.${signedPayload}.${signature}`,
    ],
    ['no signature', `${signedHeader}.${signedPayload}.`],
    ['two parts', `${signedHeader}.${signedPayload}`],
    ['HS384', forge({ ...header, alg: 'HS384' }, payload, secret, 'sha384')],
    ['HS512', forge({ ...header, alg: 'HS512' }, payload, secret, 'sha512')],
    ['RS256 by name, signed by HMAC', forge({ ...header, alg: 'RS256' }, payload, secret)],
    ['no alg', forge({ typ: 'JWT' }, payload, secret)],
    ['a critical header that is unknown', forge({ ...header, crit: ['x'], x: 1 }, payload, secret)],
    [
      'a key of its own in the header',
      forge({ ...header, jwk: { kty: 'oct', k: encode('mine') } }, payload, 'mine'),
    ],
    ['expired', of({ exp: now() - 1 })],
    ['expired, as text', of({ exp: String(now() + 60) })],
    ['no expiry', forge(header, without('exp'), secret)],
    ['not valid yet', of({ nbf: now() + 60 })],
    ['another audience', of({ aud: 'somebody-else' })],
    ['no audience', forge(header, without('aud'), secret)],
    ['another issuer', of({ iss: 'somebody-else' })],
    ['no issuer', forge(header, without('iss'), secret)],
    ['no device', forge(header, without('sub'), secret)],
    ['a device that is no UUID', of({ sub: 'everybody' })],
    ['a device that is a list', of({ sub: ['a', 'b'] })],
    ['a user that is an object', of({ user_id: {} })],
    ['another secret', forge(header, payload, 'x'.repeat(32))],
    ['an empty secret', forge(header, payload, '')],
    [
      'tampered: another device',
      `${signedHeader}.${encode({ ...payload, sub: crypto.randomUUID() })}.${signature}`,
    ],
    [
      'tampered: a later expiry',
      `${signedHeader}.${encode({ ...payload, exp: now() + 9e8 })}.${signature}`,
    ],
    ['tampered: a bit of the signature', `${signedHeader}.${signedPayload}.${flip(signature)}`],
    ['a payload that is no JSON', `${signedHeader}.${encode('no JSON')}.${signature}`],
    ['more behind it', `${good}.x`],
  ];
}

/** Another first character: the last one holds bits that are not read. */
const flip = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
