import { BatonError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import { mergePatch } from '../../merge-patch.ts';
import type { DeviceId, Guard, Guarded, StateDocument } from '../storage.ts';
import { allows } from './locks.ts';
import type { Synchronous } from './operations.ts';
import { type Device, deviceRow, drawVersion, linkedTo, type Memory, sharing } from './tables.ts';

function viewState(device: Device | undefined): StateDocument {
  if (device === undefined || device.state === null)
    return { state: {}, version: null, updatedAt: null };
  const { state, stateVersion: version, stateUpdatedAt } = device;
  return { state, version, updatedAt: new Date(stateUpdatedAt) };
}

/** The merged document (RFC 7396), where the target is none as into an empty one. */
export const merged = (target: JsonObject | null, patch: JsonObject): JsonObject =>
  mergePatch(target ?? {}, patch) as JsonObject;

/** @throws {BatonError} `state_too_large`, before anything is written */
export function assertFits({ limits }: Memory, state: JsonObject): void {
  if (Buffer.byteLength(JSON.stringify(state)) <= limits.maxStateBytes) return;
  throw new BatonError(
    'state_too_large',
    'The conversation state would grow past MAX_STATE_BYTES; nothing was written. Send less',
  );
}

/** Each writing draws a version, the removal of a document (null) too. */
export function writeState(
  { tables }: Memory,
  device: Device,
  state: JsonObject | null,
  now: number,
): void {
  device.state = state;
  device.stateVersion = drawVersion(tables);
  device.stateUpdatedAt = now;
}

/** The conversation state. */
export function stateOperations(
  memory: Memory,
): Pick<Synchronous, 'getState' | 'putState' | 'patchState' | 'clearState'> {
  const { tables, now: clock } = memory;
  const read = (id: DeviceId) => viewState(tables.devices.get(id));
  const write = (
    asked: DeviceId,
    guard: Guard,
    change: (state: JsonObject | null) => JsonObject,
  ): Guarded<StateDocument> => {
    const now = clock();
    const id = linkedTo(tables, asked);
    if (!allows(guard, read(id).version)) return { written: false };
    const state = change(tables.devices.get(id)?.state ?? null);
    assertFits(memory, state);
    writeState(memory, deviceRow(tables, id, now), state, now);
    return { written: true, now: new Date(now), ...read(id) };
  };
  return {
    getState(id) {
      const now = clock();
      return { now: new Date(now), ...sharing(tables, id, now), ...read(linkedTo(tables, id)) };
    },
    putState: (id, state, guard) => write(id, guard, () => state),
    patchState: (id, patch, guard) => write(id, guard, (state) => merged(state, patch)),
    clearState(asked, guard) {
      const now = clock();
      const id = linkedTo(tables, asked);
      if (!allows(guard, read(id).version)) return { written: false };
      const device = tables.devices.get(id);
      if (device !== undefined && device.state !== null) writeState(memory, device, null, now);
      return { written: true, now: new Date(now) };
    },
  };
}
