import { beforeAll, describe, expect, it } from 'vitest';
import { signDeviceToken } from '../../../lib/access/device-tokens.ts';
import { type Config, readConfig } from '../../../lib/config.ts';
import { BatonError } from '../../../lib/errors.ts';
import { assertOwn, bearerOf, type Caller, identify, userOf } from '../../../lib/http/access.ts';
import { type Access, operations } from '../../../lib/http/operations.ts';
import type { DeviceId } from '../../../lib/storage/storage.ts';
import { codeOf } from '../../support/refusals.ts';

const key = 'k'.repeat(32);
const older = 'o'.repeat(32);
const secret = 's'.repeat(32);
const cron = 'c'.repeat(32);
const mine = '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55' as DeviceId;
const other = '1b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55' as DeviceId;

const anybody: Caller = { device: null, user: null };

function configOf(env: Record<string, string>): Config {
  const result = readConfig(env);
  if (!result.ok) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

/** The caller of a call, or the code it is refused with. */
async function callWith(
  authorization: string | null,
  env: Record<string, string>,
  access: Access = 'device',
  device?: string,
): Promise<Caller | string> {
  const headers = new Headers(authorization === null ? {} : { authorization });
  if (device !== undefined) headers.set('x-device-id', device);
  return identify(headers, configOf(env), access).catch((error: unknown) => {
    if (error instanceof BatonError) return error.code;
    throw error;
  });
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

describe('identify', () => {
  it('takes any of the API keys, for any device', async () => {
    const env = { API_KEYS: `${key},${older}` };
    expect(await callWith(`Bearer ${key}`, env)).toEqual(anybody);
    expect(await callWith(`Bearer ${older}`, env, 'operator', other)).toEqual(anybody);
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
    ['the secret of the cron', `Bearer ${cron}`],
    ['the secret that signs device tokens', `Bearer ${secret}`],
  ])('refuses a credential: %s', async (_, header) => {
    const env = { API_KEYS: `${key},${older}`, CRON_SECRET: cron, DEVICE_TOKEN_SECRET: secret };
    expect(await callWith(header, env)).toBe('unauthorized');
    expect(await callWith(header, env, 'operator')).toBe('unauthorized');
  });

  it('stands open without API keys, outside production', async () => {
    expect(await callWith(null, {})).toEqual(anybody);
    expect(await callWith('Bearer whatever', { VERCEL_ENV: 'preview' })).toEqual(anybody);
    expect(await callWith(null, {}, 'operator')).toEqual(anybody);
  });

  it.each<[string, Record<string, string>]>([
    ['both', {}],
    ['API_KEYS', { DEVICE_TOKEN_SECRET: secret }],
    ['DEVICE_TOKEN_SECRET', { API_KEYS: key }],
  ])('in production answers not_configured, to everybody, where %s is missing', async (_, env) => {
    const production = { ...env, VERCEL_ENV: 'production' };
    for (const access of ['device', 'operator', 'newcomer'] as const) {
      expect(await callWith(null, production, access)).toBe('not_configured');
      expect(await callWith(`Bearer ${key}`, production, access)).toBe('not_configured');
    }
  });

  it('in production takes a key where both are set, and nothing else', async () => {
    const env = { API_KEYS: key, DEVICE_TOKEN_SECRET: secret, VERCEL_ENV: 'production' };
    expect(await callWith(`Bearer ${key}`, env)).toEqual(anybody);
    expect(await callWith(null, env)).toBe('unauthorized');
    expect(await callWith(`Bearer ${secret}`, env)).toBe('unauthorized');
  });

  it.each(['public', 'signature'] as const)('looks at no credential where it is %s', async (by) => {
    expect(await callWith(null, { API_KEYS: key }, by)).toEqual(anybody);
    expect(await callWith('Bearer x', { VERCEL_ENV: 'production' }, by)).toEqual(anybody);
  });

  it('lets the cron in by its own secret, and by nothing where none is set', async () => {
    const env = { API_KEYS: key, CRON_SECRET: `${cron},${older}` };
    expect(await callWith(`Bearer ${cron}`, env, 'cron')).toEqual(anybody);
    expect(await callWith(`Bearer ${older}`, env, 'cron')).toEqual(anybody);
    expect(await callWith(`Bearer ${key}`, env, 'cron')).toBe('unauthorized');
    for (const header of [null, '', 'Bearer', 'Bearer ', 'Bearer undefined']) {
      expect(await callWith(header, {}, 'cron')).toBe('unauthorized');
    }
  });

  describe('a device token', () => {
    const env = { API_KEYS: key, DEVICE_TOKEN_SECRET: secret };
    let bearer: string;
    beforeAll(async () => {
      const { token } = await signDeviceToken(configOf(env), { device: mine, user: 'u1' });
      bearer = `Bearer ${token}`;
    });

    it('stands for its device and its user', async () => {
      const caller = { device: mine, user: 'u1' };
      expect(await callWith(bearer, env)).toEqual(caller);
      expect(await callWith(bearer, env, 'device', mine)).toEqual(caller);
      expect(await callWith(bearer, env, 'device', mine.toUpperCase())).toEqual(caller);
      expect(await callWith(bearer, env, 'newcomer')).toEqual(caller);
    });

    it('is for no other device', async () => {
      expect(await callWith(bearer, env, 'device', other)).toBe('wrong_device');
      expect(await callWith(bearer, env, 'newcomer', other)).toBe('wrong_device');
      expect(await callWith(bearer, env, 'device', 'nobody')).toBe('invalid_device_id');
    });

    it('is not enough where operators alone may call', async () => {
      expect(await callWith(bearer, env, 'operator')).toBe('forbidden');
      expect(await callWith(bearer, { ...env, CRON_SECRET: cron }, 'cron')).toBe('unauthorized');
    });

    it('means the same in open mode, while one that means nothing is passed over', async () => {
      const open = { DEVICE_TOKEN_SECRET: secret };
      expect(await callWith(bearer, open, 'device', mine)).toMatchObject({ device: mine });
      expect(await callWith(bearer, open, 'device', other)).toBe('wrong_device');
      expect(await callWith(`${bearer}x`, open, 'device', other)).toEqual(anybody);
    });

    it('that is wrong is refused to a newcomer, who needs none', async () => {
      expect(await callWith(null, env, 'newcomer')).toEqual(anybody);
      expect(await callWith(`${bearer}x`, env, 'newcomer')).toBe('unauthorized');
      expect(await callWith('Basic x', env, 'newcomer')).toBe('unauthorized');
    });
  });
});

describe('whose device, and which user', () => {
  const holder: Caller = { device: mine, user: 'u1' };

  it('an operator may speak for any device and any user', () => {
    expect(codeOf(() => assertOwn(anybody, other))).toBeNull();
    expect(userOf(anybody, 'u2')).toBe('u2');
    expect(userOf(anybody, null)).toBeNull();
  });

  it('a device only for itself, and for whoever is logged in', () => {
    expect(codeOf(() => assertOwn(holder, mine))).toBeNull();
    expect(codeOf(() => assertOwn(holder, other))).toBe('wrong_device');
    expect(userOf(holder, null)).toBe('u1');
    expect(userOf(holder, 'u1')).toBe('u1');
    expect(codeOf(() => userOf(holder, 'u2'))).toBe('forbidden');
    expect(codeOf(() => userOf({ device: mine, user: null }, 'u2'))).toBe('forbidden');
  });
});

describe('the table of operations', () => {
  it('opens to everybody what carries a proof of its own, registers a device, or tells of health', () => {
    const open = Object.entries(operations).flatMap(([path, row]) =>
      Object.entries<Access>(row).flatMap(([method, access]) =>
        access === 'device' || access === 'operator' ? [] : [`${method} ${path}: ${access}`],
      ),
    );
    expect(open).toEqual([
      'POST /api/device: newcomer',
      'GET /api/webhooks/whatsapp: signature',
      'POST /api/webhooks/whatsapp: signature',
      'GET /api/cron/cleanup: cron',
      'GET /api/health: public',
    ]);
  });
});
