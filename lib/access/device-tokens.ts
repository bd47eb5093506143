import { randomBytes } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import * as z from 'zod/mini';
import type { Config } from '../config.ts';
import { BatonError } from '../errors.ts';
import { userId } from '../http/fields.ts';
import { keyOf } from '../secrets.ts';
import type { DeviceId } from '../storage/storage.ts';

// Device tokens: JWTs (RFC 7519), HS256 and nothing else (RFC 8725, 3.1), signed with the first secret of the ring and
// taken with any of them. A secret is found by trying: a ring holds two for a while, and a `kid` would tell of it.

/** Whom a device token stands for. */
export interface Holder {
  device: DeviceId;
  /** As the deployer's identity provider knows them; null: nobody has logged in. */
  user: string | null;
}

const ISSUER = 'baton';
/** What tells it from any other token under the same secret, such as one of USER_JWT_SECRET. */
const AUDIENCE = 'baton:device';

const claims = z.object({
  sub: z.guid().check(z.lowercase()),
  user_id: z.optional(userId),
});

/** In open mode such a token protects nothing, and need not outlive its process. */
const ephemeral = randomBytes(32);

function ringOf({ deviceTokenSecrets, openMode }: Config): Uint8Array[] {
  if (deviceTokenSecrets.length === 0 && openMode) return [ephemeral];
  return deviceTokenSecrets.map(keyOf);
}

/** @throws {BatonError} `not_configured` where there is no secret to sign with */
export async function signDeviceToken(
  config: Config,
  { device, user }: Holder,
): Promise<{ token: string; expiresAt: Date }> {
  const [secret] = ringOf(config);
  if (secret === undefined) {
    throw new BatonError('not_configured', 'Set DEVICE_TOKEN_SECRET to register devices');
  }
  const issuedAt = Math.floor(Date.now() / 1_000);
  const expiresAt = issuedAt + config.deviceTokenTtl;
  const token = await new SignJWT(user === null ? {} : { user_id: user })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(device)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(secret);
  return { token, expiresAt: new Date(expiresAt * 1_000) };
}

/**
 * Whom a token stands for; null: it is none of ours, was tampered with, has expired, or was signed with a secret that
 * is not in the ring any more.
 */
export async function verifyDeviceToken(token: string, config: Config): Promise<Holder | null> {
  for (const secret of ringOf(config)) {
    try {
      const { payload } = await jwtVerify(token, secret, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ['sub', 'iat', 'exp'],
      });
      const claimed = claims.safeParse(payload);
      if (!claimed.success) return null;
      const { sub, user_id: user } = claimed.data;
      return { device: sub as DeviceId, user: user ?? null };
    } catch (error) {
      // another secret of the ring may have signed it
      if (!(error instanceof errors.JOSEError)) throw error;
    }
  }
  return null;
}
