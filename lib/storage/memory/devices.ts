import type { DeviceRecord } from '../storage.ts';
import { bytesOf } from './chat-sessions.ts';
import { liveHolding, viewLock } from './locks.ts';
import type { Synchronous } from './operations.ts';
import { latestFirst, viewListed } from './search.ts';
import { type Device, deviceRow, linkedTo, type Memory, type Tables } from './tables.ts';

/** Devices as such. */
export function deviceOperations({
  tables,
  now: clock,
}: Memory): Pick<Synchronous, 'registerDevice' | 'readDevice'> {
  return {
    registerDevice(id) {
      if (tables.devices.has(id)) return false;
      deviceRow(tables, id, clock());
      return true;
    },
    readDevice(asked, user, limit) {
      const now = clock();
      const id = linkedTo(tables, asked);
      const device = tables.devices.get(id);
      if (device === undefined || isErased(tables, device)) return null;
      const sessions = [...tables.sessions.values()].filter(
        (session) => session.device === id && (user === null || session.user === user),
      );
      const record: DeviceRecord = {
        createdAt: new Date(device.createdAt),
        updatedAt: new Date(lastChange(tables, device)),
        lock: viewLock(device, now),
        state: viewSize(device),
        messages: count(device),
        sessionCount: sessions.length,
        sessions: sessions.toSorted(latestFirst).slice(0, limit).map(viewListed),
        holdings: holdingsOf(tables, device, now).slice(0, limit),
      };
      return { now: new Date(now), record };
    },
  };
}

/** Whether everything of it was erased, and nothing has come since. */
const isErased = ({ sessions, events }: Tables, { id, ...device }: Device): boolean =>
  device.erasedAt !== null &&
  device.holding === null &&
  device.state === null &&
  device.messages.every(({ status }) => status === 'erased') &&
  ![...sessions.values()].some((session) => session.device === id) &&
  !events.some((event) => event.device === id);

function viewSize({ state, stateVersion, stateUpdatedAt }: Device): DeviceRecord['state'] {
  if (state === null || stateVersion === null) return null;
  return { version: stateVersion, bytes: bytesOf(state), updatedAt: new Date(stateUpdatedAt) };
}

function count({ messages }: Device): DeviceRecord['messages'] {
  const kept = messages.filter(({ status }) => status !== 'erased');
  const user = kept.filter(({ role }) => role === 'user');
  return {
    user: user.length,
    assistant: kept.length - user.length,
    waiting: user.filter(({ status }) => status === 'waiting').length,
    failed: user.filter(({ status }) => status === 'failed').length,
  };
}

/** Newest first; a lapsed one that nobody has noted yet is one of them. */
function holdingsOf({ events }: Tables, device: Device, now: number): DeviceRecord['holdings'] {
  const { id, holding } = device;
  const noted = events
    .filter((event) => event.device === id)
    .toReversed()
    .map(({ agent, startedAt, endedAt, reason }) => ({
      agent,
      from: new Date(startedAt),
      to: new Date(endedAt),
      reason,
    }));
  if (holding === null || liveHolding(device, now) !== null) return noted;
  const { agent, lockedAt, expiresAt } = holding;
  return [
    { agent, from: new Date(lockedAt), to: new Date(expiresAt), reason: 'expired' },
    ...noted,
  ];
}

/** When anything of it that can be seen was last written. */
function lastChange({ sessions, events }: Tables, device: Device): number {
  const { id, createdAt, stateUpdatedAt, holding } = device;
  return Math.max(
    createdAt,
    stateUpdatedAt,
    holding?.lockedAt ?? 0,
    ...[...sessions.values()].filter((one) => one.device === id).map((one) => one.lastActivity),
    ...events.filter((one) => one.device === id).map(({ endedAt }) => endedAt),
  );
}
