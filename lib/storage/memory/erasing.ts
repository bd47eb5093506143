import type { DeviceId, Receipt } from '../storage.ts';
import { isUser } from './identities.ts';
import type { Synchronous } from './operations.ts';
import {
  type Device,
  drawFence,
  linkedTo,
  type Memory,
  newDevice,
  type Row,
  type Session,
  type Tables,
} from './tables.ts';
import { isSending } from './turns.ts';

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

/** Words that are erased must not come back with a COMMIT; what is only being sent may be settled. */
function takeBackTurn(tables: Tables, device: Device, isErased: (row: Row) => boolean): void {
  const { grant } = device;
  if (grant === null || grant.endsAt === null || isSending(device)) return;
  if (grant.handed.some(isErased))
    Object.assign(grant, { fence: drawFence(tables), owner: null, endsAt: null, handed: [] });
}

/** Forgets rows, or all but their keys. Gives how many had words. */
function erase(tables: Tables, rows: Row[], now: number): number {
  const said = rows.filter(({ status }) => status !== 'erased');
  for (const row of said) {
    if (row.key === null || row.createdAt <= now - KEPT_KEYS) remove(tables, row);
    else empty(row);
  }
  return said.length;
}

/** Everything of a device, or of a user. */
export function erasingOperations({
  tables,
  now: clock,
}: Memory): Pick<Synchronous, 'eraseDevice' | 'eraseUser'> {
  const sessionsOf = (is: (session: Session) => boolean) =>
    [...tables.sessions.values()].filter(is);
  return {
    eraseDevice(id) {
      const now = clock();
      const devices = new Set([id, linkedTo(tables, id)]);
      const known = [...devices].filter((one) => tables.devices.has(one));
      const receipt = { ...noReceipt(), devices: known.length };
      for (const device of devices) add(receipt, eraseWhole(tables, device, now));
      return { now: new Date(now), receipt };
    },
    eraseUser(user, limit) {
      const now = clock();
      const own = sessionsOf((session) => session.user === user);
      const named = [...tables.identities].filter(([name]) => isUser(name, user));
      const all = new Set([...own.map(({ device }) => device), ...named.map(([, id]) => id)]);
      const devices = [...all].toSorted().slice(0, limit);
      const receipt = noReceipt();
      for (const id of devices) {
        const isShared = sessionsOf((one) => one.device === id).some(
          (one) => one.user !== null && one.user !== user,
        );
        receipt[isShared ? 'shared' : 'devices']++;
        add(receipt, isShared ? eraseUserOn(tables, id, user, now) : eraseWhole(tables, id, now));
      }
      return { now: new Date(now), receipt, more: all.size > devices.length };
    },
  };
}

const noReceipt = (): Receipt => ({
  devices: 0,
  shared: 0,
  sessions: 0,
  messages: 0,
  holdings: 0,
  identities: 0,
});

function add(receipt: Receipt, counts: Partial<Receipt>): void {
  receipt.sessions += counts.sessions ?? 0;
  receipt.messages += counts.messages ?? 0;
  receipt.holdings += counts.holdings ?? 0;
  receipt.identities += counts.identities ?? 0;
}

/** Some of a device's chat sessions; lock and state may be somebody else's. */
export function eraseSessions(
  tables: Tables,
  id: DeviceId,
  isOwn: (session: Session) => boolean,
  now: number,
): Partial<Receipt> {
  const device = tables.devices.get(id);
  const sessions = [...tables.sessions.values()].filter((one) => one.device === id && isOwn(one));
  const ids = new Set(sessions.map((session) => session.id));
  const isErased = (row: Row) => ids.has(row.session);
  for (const session of ids) tables.sessions.delete(session);
  if (device === undefined) return { sessions: ids.size };
  takeBackTurn(tables, device, isErased);
  if (device.session !== null && ids.has(device.session.id)) device.session = null;
  const messages = erase(tables, device.messages.filter(isErased), now);
  return { sessions: ids.size, messages };
}

/** Of a device that others use too: the user's own sessions, and that the user was there. */
function eraseUserOn(tables: Tables, id: DeviceId, user: string, now: number): Partial<Receipt> {
  const names = [...tables.identities].filter(
    ([name, device]) => device === id && isUser(name, user),
  );
  for (const [name] of names) forgetName(tables, name);
  const counts = eraseSessions(tables, id, (session) => session.user === user, now);
  return { ...counts, identities: names.length };
}

function forgetName({ identities, checked }: Tables, name: string): void {
  identities.delete(name);
  checked.delete(name);
}

/** What stays is a blank row: nobody who was at work on the old one holds its turn. */
function eraseWhole(tables: Tables, id: DeviceId, now: number): Partial<Receipt> {
  const device = tables.devices.get(id);
  const events = tables.events.filter((event) => event.device === id);
  // a holding that ends here is noted for a moment, and counts with the others
  const counts = { holdings: events.length + (device?.holding == null ? 0 : 1), messages: 0 };
  if (device !== undefined) {
    counts.messages = erase(tables, device.messages, now);
    Object.assign(device, { ...newDevice(id, now), messages: device.messages, erasedAt: now });
  }
  tables.events = tables.events.filter((event) => event.device !== id);
  const sessions = [...tables.sessions.values()].filter((session) => session.device === id);
  for (const session of sessions) tables.sessions.delete(session.id);
  const names = [...tables.identities].filter(([, leadsTo]) => leadsTo === id);
  for (const [name] of names) forgetName(tables, name);
  for (const [code, { device: of }] of tables.linkCodes)
    if (of === id) tables.linkCodes.delete(code);
  tables.linkTries.delete(id);
  return { ...counts, sessions: sessions.length, identities: names.length };
}
