import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

declare const opens: unique symbol;

/**
 * What opens something for whoever presents it. To the compiler it is no string: `===` and every other comparison that
 * ends at the first difference, and so tells by its time how far a guess is right, does not compile. This file alone
 * knows better. One that may be missing stands in a list: null could be compared with another null.
 */
export interface Secret {
  readonly [opens]: true;
}

export const toSecret = (text: string): Secret => text as unknown as Secret;
const open = (secret: Secret): string => secret as unknown as string;

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Whether a candidate is one of the secrets, in the same time whatever it is: both sides are hashed first, so
 * that not even lengths show, and every secret is looked at. No secrets match nothing.
 */
export function matchesAny(candidate: string, secrets: readonly Secret[]): boolean {
  const hash = digest(candidate);
  let found = false;
  for (const secret of secrets) {
    if (timingSafeEqual(hash, digest(open(secret))) && open(secret) !== '') found = true;
  }
  return found;
}

/**
 * Whether one of the secrets signed these bytes, as webhooks are signed, in the same time whatever the signature is.
 *
 * @param signature HMAC-SHA-256 in lower-case hexadecimal
 */
export function isSignedBy(
  bytes: Uint8Array,
  signature: string,
  secrets: readonly Secret[],
): boolean {
  const sign = (secret: Secret) => createHmac('sha256', open(secret)).update(bytes).digest('hex');
  return matchesAny(
    signature,
    secrets.map((secret) => toSecret(sign(secret))),
  );
}

/** As a key for those who sign and verify by themselves. */
export const keyOf = (secret: Secret): Uint8Array => new TextEncoder().encode(open(secret));
