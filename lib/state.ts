import { BatonError } from './errors.ts';
import { assertStorable, type JsonObject } from './json.ts';
import type { DeviceId, Guard, Guarded, StateDocument, Storage } from './storage/storage.ts';

function unlessMoved<T>(result: Guarded<T>): T {
  if (!result.written) {
    throw new BatonError(
      'version_conflict',
      'The state is not the one the condition asks for; read it again before you decide',
    );
  }
  return result;
}

/** The device's document; `{}` where there is none. */
export async function readState(storage: Storage, device: DeviceId): Promise<StateDocument> {
  return storage.getState(device);
}

/** Puts a document in place of whatever is there. @throws {BatonError} `version_conflict`, `state_too_large`, `unstorable_text` */
export async function replaceState(
  storage: Storage,
  device: DeviceId,
  state: JsonObject,
  guard: Guard,
): Promise<StateDocument> {
  assertStorable(state, 'state');
  return unlessMoved(await storage.putState(device, state, guard));
}

/** Merges an RFC 7396 patch; parallel patches of different keys all survive. @throws as replaceState */
export async function mergeState(
  storage: Storage,
  device: DeviceId,
  patch: JsonObject,
  guard: Guard,
): Promise<StateDocument> {
  assertStorable(patch, 'patch');
  return unlessMoved(await storage.patchState(device, patch, guard));
}

/** Forgets the document, if there is one. @throws {BatonError} `version_conflict` */
export async function forgetState(storage: Storage, device: DeviceId, guard: Guard): Promise<void> {
  unlessMoved(await storage.clearState(device, guard));
}
