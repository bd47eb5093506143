import { expect } from 'vitest';
import type { Api, CallOptions } from '../support/api.ts';
import { forge, now } from '../support/tokens.ts';

// Devices that register, and somebody who logs in on them.

export const KEY = 'a-key-of-this-deployment-00000001';
export const SECRET = 'secret-that-signs-device-tokens-1';
const IDENTITY = 'secret-of-the-identity-provider-1';

export const env = {
  API_KEYS: KEY,
  DEVICE_TOKEN_SECRET: SECRET,
  DEVICE_TOKEN_TTL: '3600',
  USER_JWT_SECRET: IDENTITY,
  USER_JWT_ISSUER: 'https://login.example',
  USER_JWT_AUDIENCE: 'shop',
};

export interface Registration {
  device_id: string;
  token: string;
  expires_at: string;
  user_id?: string;
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
export const operator = { headers: bearer(KEY) };

/** A token of the identity provider. */
export const userToken = (sub: string, changes: object = {}) =>
  forge(
    { alg: 'HS256', typ: 'JWT' },
    { iss: 'https://login.example', aud: 'shop', sub, exp: now() + 60, ...changes },
    IDENTITY,
  );

export const as = ({ device_id: device, token }: Registration): CallOptions => ({
  device,
  headers: bearer(token),
});

/** Registers a device, each from an address of its own: one address may register only so many. */
export function registering(api: () => Api) {
  let address = 0;
  return async (options: CallOptions = {}): Promise<Registration> => {
    const headers = { 'x-real-ip': `192.0.2.${++address}`, ...options.headers };
    const answer = await api().call('POST', '/api/device', { ...options, headers });
    expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
    return answer.json as Registration;
  };
}
