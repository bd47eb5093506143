import { createHmac } from 'node:crypto';

/** HMAC-SHA-256 of raw bytes in lower-case hexadecimal, as Meta signs what it sends. */
export const signBytes = (bytes: Uint8Array, secret: string): string =>
  createHmac('sha256', secret).update(bytes).digest('hex');
