import type { Row, Tables } from './tables.ts';

/** A provider retries for seven days: until then a message's key must stay to be known again. */
export const KEPT_KEYS = 8 * 86_400_000;

/** Forgets a message, and that it ever came. */
export function remove(tables: Tables, row: Row): void {
  const device = tables.devices.get(row.device);
  if (device !== undefined) device.messages = device.messages.filter((one) => one !== row);
  if (row.key !== null) tables.keys.delete(row.key);
}

/** Nothing stays of it but its key. */
export function empty(row: Row): void {
  Object.assign(row, {
    content: '',
    metadata: {},
    address: {},
    status: 'erased',
    seq: null,
    externalId: null,
  });
}
