import { BatonError } from '../errors.ts';
import type { DeviceId } from '../storage/storage.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** RFC 9562, 5.9 and 5.10: the nil and the max UUID name nothing. */
const NOBODY = /^(?:[0-]+|[f-]+)$/;

/** @throws {BatonError} `invalid_device_id` */
export function parseDeviceId(text: string | null): DeviceId {
  const id = text?.toLowerCase() ?? '';
  if (!UUID.test(id) || NOBODY.test(id)) {
    throw new BatonError(
      'invalid_device_id',
      'Send the device as X-Device-ID: a UUID (RFC 9562), neither nil nor max',
    );
  }
  return id as DeviceId;
}

/** A device that nobody has heard of. */
export const newDevice = (): DeviceId => crypto.randomUUID() as DeviceId;
