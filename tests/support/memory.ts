import { createMemoryStorage } from '../../lib/storage/memory/memory-storage.ts';
import { emptyTables, type Memory, type Tables } from '../../lib/storage/memory/tables.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { type Harness, limits, type Open } from './storage.ts';

/** The machine's clock by another way than Date, which a test may set wrong. */
const steadyNow = () => Math.floor(performance.timeOrigin + performance.now());

/** The memory storage, on a clock that is its own. */
export const openMemory: Open = (some) => {
  const tables = emptyTables();
  const storage = createMemoryStorage({ ...limits, ...some }, { tables, now: steadyNow });
  return Promise.resolve(memoryHarness(storage, tables, steadyNow));
};

export function memoryHarness(
  storage: Harness['storage'],
  tables: Tables,
  now: Memory['now'],
): Harness {
  const rowsOf = (device: DeviceId) => tables.devices.get(device)?.messages ?? [];
  const sessionsOf = (id: DeviceId) =>
    [...tables.sessions.values()].filter(({ device }) => device === id);
  const eventsOf = (id: DeviceId) => tables.events.filter(({ device }) => device === id);
  return {
    storage,
    shift(id, { lock, turn, session, unsettled }) {
      const device = tables.devices.get(id);
      if (device?.holding && lock !== undefined) device.holding.expiresAt = now() + lock;
      if (device?.session && session !== undefined) device.session.endsAt = now() + session;
      if (device?.grant?.endsAt != null && turn !== undefined) device.grant.endsAt = now() + turn;
      for (const row of rowsOf(id)) {
        const end = row.status === 'sending' ? turn : unsettled;
        if (end !== undefined) row.claimEndsAt = now() + end;
      }
      return Promise.resolve();
    },
    age(id, by) {
      const device = tables.devices.get(id);
      const older = (of: object | null | undefined, ...names: string[]) => {
        for (const name of names) {
          const at: unknown = of && Reflect.get(of, name);
          if (of && typeof at === 'number') Reflect.set(of, name, at - by);
        }
      };
      older(device, 'stateUpdatedAt', 'rateUntil');
      older(device?.holding, 'lockedAt', 'expiresAt');
      older(device?.session, 'endsAt');
      older(device?.grant, 'endsAt');
      for (const row of rowsOf(id)) older(row, 'sentAt', 'createdAt', 'claimEndsAt');
      for (const session of sessionsOf(id))
        older(session, 'createdAt', 'lastActivity', 'expiresAt');
      for (const [name, device] of tables.identities)
        if (device === id) tables.checked.set(name, (tables.checked.get(name) ?? 0) - by);
      for (const event of eventsOf(id)) older(event, 'startedAt', 'endedAt');
      return Promise.resolve();
    },
    messages: (id) =>
      Promise.resolve(
        rowsOf(id)
          .toSorted(
            (a, b) =>
              (a.seq ?? Infinity) - (b.seq ?? Infinity) || a.sentAt - b.sentAt || a.id - b.id,
          )
          .map(({ role, content, status, seq, session, attempts, externalId, error, ...row }) => ({
            id: String(row.id),
            role,
            content,
            status,
            seq,
            session,
            attempts,
            answers: row.answers.length === 0 ? null : row.answers.map((one) => String(one.id)),
            externalId,
            error,
          })),
      ),
    sessions: (device) =>
      Promise.resolve(
        sessionsOf(device).map(({ id, complete, messageCount, lastActivity, expiresAt }) => ({
          id,
          complete,
          messageCount,
          life: expiresAt - lastActivity,
        })),
      ),
    events: (device) =>
      Promise.resolve(
        eventsOf(device)
          .map(({ agent, reason, startedAt, endedAt }) => ({
            agent,
            reason,
            startedAt: new Date(startedAt),
            endedAt: new Date(endedAt),
          }))
          .toReversed(),
      ),
    deleteRow(device) {
      tables.devices.delete(device);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
