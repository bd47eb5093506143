import { describe, expect, it } from 'vitest';
import { signDeviceToken, verifyDeviceToken } from '../../../lib/access/device-tokens.ts';
import { type Config, readConfig } from '../../../lib/config.ts';
import type { DeviceId } from '../../../lib/storage/storage.ts';
import { badTokens, forge, now, partsOf } from '../../support/tokens.ts';

const secret = 's'.repeat(32);
const older = 'o'.repeat(32);
const device = '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55' as DeviceId;
const holder = { device, user: null };

function configOf(ring: string, env: Record<string, string> = {}): Config {
  const result = readConfig({ API_KEYS: 'k'.repeat(32), DEVICE_TOKEN_SECRET: ring, ...env });
  if (!result.ok) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

const config = configOf(secret);
const { token: good } = await signDeviceToken(config, holder);

describe('signDeviceToken', () => {
  it('makes a JWT of the device that lasts DEVICE_TOKEN_TTL, and says when it ends', async () => {
    const signed = await signDeviceToken(configOf(secret, { DEVICE_TOKEN_TTL: '60' }), holder);
    const { header, payload } = partsOf(signed.token);
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(payload).toEqual({
      iss: 'baton',
      aud: 'baton:device',
      sub: device,
      iat: expect.any(Number) as number,
      exp: Number(payload['iat']) + 60,
    });
    expect(signed.expiresAt.getTime()).toBe(Number(payload['exp']) * 1_000);
    expect(Math.abs(Number(payload['iat']) - now())).toBeLessThan(5);
  });

  it('is signed with the first secret of the ring', async () => {
    const { token } = await signDeviceToken(configOf(`${secret},${older}`), holder);
    expect(await verifyDeviceToken(token, configOf(secret))).toEqual(holder);
    expect(await verifyDeviceToken(token, configOf(older))).toBeNull();
  });

  it('without a secret is refused, except in open mode', async () => {
    await expect(signDeviceToken(configOf(''), holder)).rejects.toMatchObject({
      code: 'not_configured',
    });
    const open = configOf('', { API_KEYS: '' });
    const { token } = await signDeviceToken(open, holder);
    expect(await verifyDeviceToken(token, open)).toEqual(holder);
    expect(await verifyDeviceToken(token, config)).toBeNull();
  });
});

describe('verifyDeviceToken', () => {
  it('gives the device, and the user if one is logged in', async () => {
    expect(await verifyDeviceToken(good, config)).toEqual(holder);
    const { token } = await signDeviceToken(config, { device, user: 'auth0|7' });
    expect(await verifyDeviceToken(token, config)).toEqual({ device, user: 'auth0|7' });
  });

  it('takes a token of any secret in the ring, and none of one that was taken out', async () => {
    const { token: old } = await signDeviceToken(configOf(older), holder);
    expect(await verifyDeviceToken(old, configOf(`${secret},${older}`))).toEqual(holder);
    expect(await verifyDeviceToken(old, config)).toBeNull();
  });

  it('takes what is forged by hand exactly as it should be: the other cases are refused for their fault', async () => {
    const { header, payload } = partsOf(good);
    expect(await verifyDeviceToken(forge(header, payload, secret), config)).toEqual(holder);
  });

  it.each(badTokens(good, secret))('refuses %s', async (_, token) => {
    expect(token).not.toBe(good);
    expect(await verifyDeviceToken(token, config)).toBeNull();
    expect(await verifyDeviceToken(token, configOf(`${older},${secret}`))).toBeNull();
  });

  it.each(['', 'x', '..', '...', 'a.b.c', 'k'.repeat(32), '\u0000', '💥.💥.💥'])(
    'refuses %j, which is no token at all',
    async (text) => {
      expect(await verifyDeviceToken(text, config)).toBeNull();
    },
  );
});
