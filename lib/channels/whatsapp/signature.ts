import { isSignedBy, type Secret } from '../../secrets.ts';

/**
 * Checks `X-Hub-Signature-256` over the bytes as they came: parsed and printed again they differ (Meta escapes
 * `/`), so nothing but the raw body will do. An unset app secret matches no signature.
 * https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads
 */
export function isSigned(
  body: Uint8Array,
  header: string | null,
  appSecrets: readonly Secret[],
): boolean {
  const signature = /^sha256=([0-9a-f]{64})$/.exec(header ?? '')?.[1];
  return signature !== undefined && isSignedBy(body, signature, appSecrets);
}
