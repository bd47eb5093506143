import type { Config } from './config.ts';
import { BatonError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { tooFast } from './rate-limit.ts';
import type { AcceptedDevice } from './storage/storage.ts';

// What protects the owner of a deployment from a caller who sends too much. WhatsApp's messages come from Meta and
// pass all of it by: what a person wrote is stored.

/** @throws {BatonError} `message_too_large`, `metadata_too_large` */
export function assertFits(
  { maxMessageBytes, maxMetadataBytes }: Config,
  text: string,
  metadata: JsonObject,
): void {
  if (Buffer.byteLength(text) > maxMessageBytes) {
    throw new BatonError(
      'message_too_large',
      `A message may have ${maxMessageBytes} bytes; send it in parts`,
    );
  }
  if (Buffer.byteLength(JSON.stringify(metadata)) > maxMetadataBytes) {
    throw metadataTooLarge(maxMetadataBytes);
  }
}

export const metadataTooLarge = (most: number): BatonError =>
  new BatonError(
    'metadata_too_large',
    `Metadata may have ${most} bytes; nothing was written. Send less`,
  );

export const sessionNotFound = (): BatonError =>
  new BatonError(
    'session_not_found',
    'There is no such chat session, or it is over: begin another',
  );

const REFUSALS: Record<
  AcceptedDevice['refused'][number]['reason'],
  (accepted: AcceptedDevice) => BatonError
> = {
  session_not_found: sessionNotFound,
  session_complete: () =>
    new BatonError('session_complete', 'This chat session is complete: begin another'),
  rate_limited: () =>
    new BatonError(
      'rate_limited',
      'Too many messages of this device wait for an answer; this one was not stored. Send it again later',
    ),
  too_fast: ({ rate = {} }) => tooFast(rate),
};

/** What ACCEPT said of one message, unless it was refused. @throws {BatonError} why it was */
export function unlessRefused(accepted: AcceptedDevice): AcceptedDevice {
  const [refused] = accepted.refused;
  if (refused !== undefined) throw REFUSALS[refused.reason](accepted);
  return accepted;
}
