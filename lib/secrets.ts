import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Whether a candidate is one of the secrets, in the same time whatever it is: both sides are hashed first, so
 * that not even lengths show, and every secret is looked at. No secrets match nothing.
 */
export function matchesAny(candidate: string, secrets: readonly string[]): boolean {
  const hash = digest(candidate);
  let found = false;
  for (const secret of secrets) {
    if (timingSafeEqual(hash, digest(secret)) && secret !== '') found = true;
  }
  return found;
}

/** HMAC-SHA-256 of raw bytes in lower-case hexadecimal, as webhooks are signed. */
export function signBytes(bytes: Uint8Array, secret: string): string {
  return createHmac('sha256', secret).update(bytes).digest('hex');
}
