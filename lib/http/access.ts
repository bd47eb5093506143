import type { Config } from '../config.ts';
import { BatonError } from '../errors.ts';
import { matchesAny } from '../secrets.ts';

/** Who may call a route: a credential for the device, or whoever carries the proof the route itself asks for. */
export type Access = 'device' | 'own-proof';

/** The token of `Authorization: Bearer …`, or null. */
export function bearerOf(headers: Headers): string | null {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null;
}

/**
 * Lets a call pass, or throws. Without API keys, and not in production, everything is open.
 *
 * @throws {BatonError} `unauthorized`; in production `not_configured` rather than standing open
 */
export function authorize(headers: Headers, config: Config, access: Access): void {
  if (access === 'own-proof') return;
  if (
    config.production &&
    (config.apiKeys.length === 0 || config.deviceTokenSecrets.length === 0)
  ) {
    throw new BatonError(
      'not_configured',
      'API_KEYS and DEVICE_TOKEN_SECRET must be set in production',
    );
  }
  if (config.apiKeys.length === 0) return;
  const token = bearerOf(headers);
  if (token === null || !matchesAny(token, config.apiKeys)) {
    throw new BatonError('unauthorized', 'Send an API key as Authorization: Bearer');
  }
}
