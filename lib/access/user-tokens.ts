import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Config } from '../config.ts';
import { BatonError } from '../errors.ts';
import { userId } from '../http/fields.ts';
import { describeError, log } from '../log.ts';
import { keyOf } from '../secrets.ts';

// Tokens of the deployer's own identity provider, which say who is logged in.

type UserTokens = NonNullable<Config['userTokens']>;

/** Of key pairs alone: with a public key as its secret, an HMAC could be made by anybody (RFC 8725, 2.1). */
const ASYMMETRIC = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA'.split(' ');

/** Key sets by their URLs. Each is fetched when it is first asked, and at most twice a minute for a key it lacks. */
const keySets = new Map<string, JWTVerifyGetKey>();

function keySetOf(url: string): JWTVerifyGetKey {
  const known = keySets.get(url);
  if (known !== undefined) return known;
  const fresh = createRemoteJWKSet(new URL(url), { timeoutDuration: 3_000 });
  keySets.set(url, fresh);
  return fresh;
}

/**
 * Who a token of the identity provider speaks for: its `sub`. Its signature, issuer, audience and expiry are checked.
 *
 * @throws {BatonError} `unauthorized`; `invalid_request` where no provider is configured; `identity_unavailable` when
 *   its keys cannot be had: the same call again may succeed
 */
export async function verifyUserToken(token: string, { userTokens }: Config): Promise<string> {
  if (userTokens === null) {
    throw new BatonError(
      'invalid_request',
      'This deployment has no identity provider: leave out user_token',
      [{ path: 'user_token', message: 'leave it out, or have USER_JWT_JWKS_URL set' }],
    );
  }
  const payload = await verify(token, userTokens);
  const user = userId.safeParse(payload?.sub);
  if (!user.success) {
    throw new BatonError(
      'unauthorized',
      'The user_token is none of the identity provider for this deployment, or has expired: get another from it',
    );
  }
  return user.data;
}

/** null: no key of the provider takes it. */
async function verify(
  token: string,
  { issuer, audience, keys }: UserTokens,
): Promise<JWTPayload | null> {
  const checks = { issuer, audience, requiredClaims: ['sub', 'exp'] };
  try {
    if ('jwksUrl' in keys) {
      const options = { ...checks, algorithms: ASYMMETRIC };
      return (await jwtVerify(token, keySetOf(keys.jwksUrl), options)).payload;
    }
  } catch (error) {
    if (isRefusal(error)) return null;
    log('error', 'identity_unavailable', describeError(error));
    throw new BatonError(
      'identity_unavailable',
      'The keys of the identity provider cannot be had; try again later',
    );
  }
  for (const secret of keys.secrets) {
    try {
      const options = { ...checks, algorithms: ['HS256'] };
      return (await jwtVerify(token, keyOf(secret), options)).payload;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return null;
}

/** Whether the token is at fault, rather than the way to the keys. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  );
}
