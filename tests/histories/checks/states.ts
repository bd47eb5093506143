import type { JsonObject } from '../../../lib/json.ts';
import type { DeviceId } from '../../../lib/storage/storage.ts';
import type { Call, Evidence, Violation } from '../history.ts';
import { violation } from './facts.ts';

/** What a key of a state document may hold in the end: the last value surely written, or a later one that may have been. */
interface Written {
  device: DeviceId;
  key: string;
  last: number;
  maybe: Set<number>;
}

/** No write of a state document is lost: each worker counts its own under a key of its own. */
export function checkStates({ calls, dump }: Evidence): Violation[] {
  const keys = new Map<string, Written>();
  for (const call of calls.toSorted((a, b) => a.invoked - b.invoked)) note(keys, call);
  const states = new Map(dump.devices.map(({ device, state }) => [device, state ?? {}]));
  return [...keys.values()].flatMap(({ device, key, last, maybe }) => {
    const value = Number(states.get(device)?.[key] ?? 0);
    if (value === last || (value > last && maybe.has(value))) return [];
    return [violation('state', device, `${key} is ${value}, last written was ${last}`)];
  });
}

function note(keys: Map<string, Written>, call: Call): void {
  const write = writeOf(call);
  if (write === null) return;
  const { device, patch, isSure } = write;
  for (const [key, value] of Object.entries(patch)) {
    if (typeof value !== 'number') continue;
    const written = keys.get(`${device} ${key}`) ?? { device, key, last: 0, maybe: new Set() };
    if (isSure) written.last = Math.max(written.last, value);
    else written.maybe.add(value);
    keys.set(`${device} ${key}`, written);
  }
}

/** null: nothing was written. */
function writeOf(call: Call): { device: DeviceId; patch: JsonObject; isSure: boolean } | null {
  if (call.kind === 'patchState') {
    const [device, patch] = call.args;
    return { device, patch, isSure: call.result.known };
  }
  if (call.kind !== 'commit') return null;
  const [device, , , { statePatch: patch }] = call.args;
  if (patch === undefined) return null;
  const isSure = call.result.known && call.result.value.outcome === 'committed';
  const isRefused = call.result.known && !isSure && call.broken.length === 0;
  return isRefused ? null : { device, patch, isSure };
}
