import { type DeviceId, type Guard, HUMAN, type Lock, type Version } from '../storage.ts';
import { enterHistory, isWaiting } from './messages.ts';
import type { Synchronous } from './operations.ts';
import {
  type Device,
  deviceRow,
  drawFence,
  drawVersion,
  type Holding,
  linkedTo,
  type Memory,
  sharing,
  type Tables,
} from './tables.ts';

/** The holding that lives; past its end it does not exist, cleaned up or not. */
export const liveHolding = ({ holding }: Device, now: number): Holding | null =>
  holding !== null && holding.expiresAt > now ? holding : null;

export function viewLock(device: Device, now: number): Lock | null {
  const holding = liveHolding(device, now);
  if (holding === null || device.lockVersion === null) return null;
  return {
    agent: holding.agent,
    lockedAt: new Date(holding.lockedAt),
    expiresAt: new Date(holding.expiresAt),
    sessionTtl: holding.sessionTtl,
    version: device.lockVersion,
  };
}

/** The same live holder goes on under its version; every other one begins a new holding. */
export function hold(
  tables: Tables,
  device: Device,
  { agent, ttl }: { agent: string; ttl: number },
  now: number,
): void {
  const expiresAt = now + ttl * 1_000;
  const live = liveHolding(device, now);
  if (live?.agent === agent) {
    live.expiresAt = expiresAt;
    live.sessionTtl = ttl;
    return;
  }
  endHolding(tables, device, live === null ? 'expired' : 'handed_over', now);
  device.holding = { agent, lockedAt: now, expiresAt, sessionTtl: ttl };
  device.lockVersion = drawVersion(tables);
  if (agent === HUMAN) handToPerson(tables, device, now);
}

/** Ends the live holding, if there is one; a lapsed one was moved by nobody, and keeps its version. */
export function clear(tables: Tables, device: Device, now: number): void {
  if (liveHolding(device, now) === null) return;
  endHolding(tables, device, 'cleared', now);
  device.lockVersion = drawVersion(tables);
}

/** Takes the holding away and notes it in the owner's timeline. */
export function endHolding(
  { events }: Tables,
  device: Device,
  reason: 'expired' | 'cleared' | 'handed_over',
  now: number,
): void {
  if (device.holding === null) return;
  const { agent, lockedAt: startedAt, expiresAt } = device.holding;
  events.push({ device: device.id, agent, startedAt, endedAt: Math.min(now, expiresAt), reason });
  device.holding = null;
}

/** While a person holds the conversation nothing waits: it enters the history at once. */
export function recordUnderHuman(tables: Tables, device: Device, now: number): void {
  if (liveHolding(device, now)?.agent === HUMAN)
    enterHistory(tables, device, device.messages.filter(isWaiting), HUMAN, now);
}

/**
 * Code answers no more: what waits enters the history, and a worker that is still at its answer loses the turn. One
 * that has committed is only sending what stands in the history already; it may settle that.
 */
function handToPerson(tables: Tables, device: Device, now: number): void {
  recordUnderHuman(tables, device, now);
  const { grant, committed } = device;
  if (grant === null || grant.endsAt === null || committed?.fence === grant.fence) return;
  Object.assign(grant, { fence: drawFence(tables), owner: null, endsAt: null, handed: [] });
}

/** Whether a guarded write may happen where `version` lives, or nothing does. */
export function allows(guard: Guard, version: Version | null): boolean {
  if (guard.kind === 'none') return true;
  if (guard.kind === 'absent') return version === null;
  return version !== null && (guard.versions.length === 0 || guard.versions.includes(version));
}

/** The active-agent lock. */
export function lockOperations({
  tables,
  now: clock,
}: Memory): Pick<Synchronous, 'getLock' | 'setLock' | 'clearLock'> {
  const read = (id: DeviceId, now: number) => {
    const device = tables.devices.get(id);
    return device === undefined ? null : viewLock(device, now);
  };
  return {
    getLock(asked) {
      const now = clock();
      const lock = read(linkedTo(tables, asked), now);
      return { now: new Date(now), ...sharing(tables, asked, now), lock };
    },
    setLock(asked, { agent, ttlSeconds }, guard) {
      const now = clock();
      const id = linkedTo(tables, asked);
      if (!allows(guard, read(id, now)?.version ?? null)) return { written: false };
      const device = deviceRow(tables, id, now);
      hold(tables, device, { agent, ttl: ttlSeconds }, now);
      const lock = viewLock(device, now);
      return lock === null ? { written: false } : { written: true, now: new Date(now), lock };
    },
    clearLock(asked, guard) {
      const now = clock();
      const id = linkedTo(tables, asked);
      if (!allows(guard, read(id, now)?.version ?? null)) return { written: false };
      const device = tables.devices.get(id);
      if (device !== undefined) clear(tables, device, now);
      return { written: true, now: new Date(now) };
    },
  };
}
