import type { DeviceId } from '../storage.ts';
import { recordUnderHuman } from './locks.ts';
import { viewMessage } from './messages.ts';
import type { Synchronous } from './operations.ts';
import { deviceRow, type Memory, type Row } from './tables.ts';

/** What was set aside, and the way back. */
export function failedOperations({
  tables,
  now: clock,
}: Memory): Pick<Synchronous, 'listFailed' | 'retryFailed'> {
  /** Oldest first. */
  const failed = (device: DeviceId | null): Row[] =>
    [...tables.devices.values()]
      .filter(({ id }) => device === null || id === device)
      .flatMap(({ messages }) => messages)
      .filter(({ status, role }) => status === 'failed' && role === 'user')
      .toSorted((a, b) => a.id - b.id);
  return {
    listFailed(of, after, limit) {
      const rows = failed(of).filter(({ id }) => id > Number(after ?? 0));
      return {
        now: new Date(clock()),
        messages: rows.slice(0, limit).map((row) => ({
          ...viewMessage(row),
          device: row.device,
          sessionId: row.session,
          channel: row.channel,
          lane: row.lane,
          attempts: row.attempts,
          error: row.error,
        })),
      };
    },
    retryFailed(of, limit) {
      const now = clock();
      const retried = failed(of).slice(0, limit);
      for (const row of retried)
        Object.assign(row, { status: 'waiting', attempts: 0, error: null });
      // where a person holds the conversation by now, nothing waits
      for (const device of new Set(retried.map((row) => deviceRow(tables, row.device, now))))
        recordUnderHuman(tables, device, now);
      return { now: new Date(now), retried: retried.length, more: retried.length >= limit };
    },
  };
}
