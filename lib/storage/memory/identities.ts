import { parseJson } from '../../json.ts';
import type { DeviceId, IncomingMessage } from '../storage.ts';
import { keyOf, linkedTo, type Memory, type Row, type Tables } from './tables.ts';

/** Identities are scoped: the same number writes to two businesses as two people. */
type Place = Pick<IncomingMessage, 'channel' | 'account'>;
/** `user`: of a chat session, under the device as its account. */
type Kind = 'phone' | 'user_id' | 'user';

const nameOf = ({ channel, account }: Place, kind: Kind, value: string): string =>
  JSON.stringify([channel, account, kind, value]);

const find = ({ identities }: Tables, place: Place, kind: Kind, value: string | null) =>
  value === null ? undefined : identities.get(nameOf(place, kind, value));

/** Ids that a message came with, or that a person's have become. */
interface Ids extends Place {
  phone: string | null;
  userId: string | null;
}

/** The user of a chat session: an erasure finds the device by it, for as long as anything is kept there. */
export function leadUser(
  { identities, checked }: Tables,
  device: DeviceId,
  { channel, user }: { channel: string; user: string },
  now: number,
): void {
  const name = nameOf({ channel, account: device }, 'user', user);
  if (identities.has(name)) return;
  identities.set(name, device);
  checked.set(name, now);
}

/** Whether a name is that of a user. */
export function isUser(name: string, user: string): boolean {
  const [, , kind, value] = parseJson(name) as string[];
  return kind === 'user' && value === user;
}

/**
 * Gives every sender a device, and one person one device: first each number that nobody has seen, then the user ids,
 * then the ids that have become others.
 */
export function link(memory: Memory, messages: IncomingMessage[], now: number): void {
  const { tables, deviceOf } = memory;
  const named = messages.flatMap((message) => {
    const { sender, channel, account, externalId, becomes } = message;
    // a redelivery of what was erased must not bring its sender's ids back
    if (!('phone' in sender) || erasedRow(tables, message) !== undefined) return [];
    const place = { channel, account };
    // told again days later, the number may be somebody else's
    const isNews = becomes !== undefined && !tables.keys.has(keyOf(channel, account, externalId));
    return [
      { is: { ...place, ...sender }, becomes: isNews ? { ...place, ...becomes } : undefined },
    ];
  });
  for (const { phone, ...place } of named.flatMap(({ is, becomes }) => [is, becomes ?? is])) {
    if (phone === null || find(tables, place, 'phone', phone) !== undefined) continue;
    const name = nameOf(place, 'phone', phone);
    tables.identities.set(name, deviceOf(name));
  }
  for (const { is } of named.toSorted((a, b) => inOrder(a.is, b.is))) linkUser(memory, is);
  for (const { is, becomes } of named) {
    const device = resolve(tables, is);
    if (becomes === undefined || device === undefined) continue;
    if (becomes.userId !== null)
      tables.identities.set(nameOf(becomes, 'user_id', becomes.userId), device);
    if (becomes.phone !== null)
      tables.identities.set(nameOf(becomes, 'phone', becomes.phone), device);
  }
  for (const name of tables.identities.keys())
    if (!tables.checked.has(name)) tables.checked.set(name, now);
}

/**
 * The user id decides who it is. A phone that is still free leads to it; one that is somebody's own does not: two
 * people who share a phone stay two.
 */
function linkUser({ tables, deviceOf }: Memory, ids: Ids): void {
  const { phone, userId } = ids;
  if (userId === null) return;
  const { identities, devices } = tables;
  const count = (kind: Kind, device: DeviceId) => countNames(tables, ids, kind, device);
  const atPhone = find(tables, ids, 'phone', phone);
  const name = nameOf(ids, 'user_id', userId);
  if (!identities.has(name)) {
    const isFree = atPhone !== undefined && count('user_id', atPhone) === 0;
    identities.set(name, isFree ? atPhone : deviceOf(name));
  }
  const person = identities.get(name);
  if (phone === null || atPhone === undefined || person === undefined || person === atPhone) return;
  const hasNone = count('phone', person) === 0;
  const isMoved =
    count('user_id', atPhone) === 0
      ? // nobody's: it is theirs if they have no other, or nobody has ever written with it
        hasNone || !devices.has(atPhone)
      : // the old one of somebody who has a newer one
        hasNone && count('phone', atPhone) > 1;
  if (isMoved) identities.set(nameOf(ids, 'phone', phone), person);
}

/** Whatever the order of a batch, who is new in it becomes the same device. */
const inOrder = (a: Ids, b: Ids): number => {
  const [one, other] = [a, b].map(({ channel, account, userId, phone }) =>
    [channel, account, userId ?? '\uffff', phone ?? '\uffff'].join('\0'),
  );
  return (one ?? '') < (other ?? '') ? -1 : 1;
};

function countNames({ identities }: Tables, place: Place, kind: Kind, device: DeviceId): number {
  const start = nameOf(place, kind, '').slice(0, -2);
  return [...identities].filter(([name, leadsTo]) => leadsTo === device && name.startsWith(start))
    .length;
}

/** The user id decides: a phone number changes hands. */
const resolve = (tables: Tables, ids: Ids) =>
  find(tables, ids, 'user_id', ids.userId) ?? find(tables, ids, 'phone', ids.phone);

/**
 * The device a message is for; undefined: of a chat session nobody knows or that is
 * not its owner's, or of a sender without any identity.
 */
export function deviceOfSender(tables: Tables, message: IncomingMessage): DeviceId | undefined {
  const { sender, channel, account } = message;
  if ('device' in sender) return linkedTo(tables, sender.device);
  if ('session' in sender) {
    const of = tables.sessions.get(sender.session)?.device;
    return sender.owner == null || linkedTo(tables, sender.owner) === of ? of : undefined;
  }
  const erased = erasedRow(tables, message);
  if (erased !== undefined) return erased.device;
  const device = resolve(tables, { ...sender, channel, account });
  return device && linkedTo(tables, device);
}

/** What is left of a message whose words were erased. */
function erasedRow(
  { keys }: Tables,
  { channel, account, externalId }: IncomingMessage,
): Row | undefined {
  const row = keys.get(keyOf(channel, account, externalId));
  return row?.status === 'erased' ? row : undefined;
}

/** Where replies go. A number that is known as somebody else's is no way to this sender. */
export function addressOf(
  tables: Tables,
  device: DeviceId,
  message: IncomingMessage,
): Record<string, string> {
  const { sender } = message;
  if (!('phone' in sender)) return {};
  const { phone, userId, dial } = sender;
  const atPhone = find(tables, message, 'phone', phone);
  return {
    ...(userId !== null && { user_id: userId }),
    ...(phone !== null &&
      atPhone !== undefined &&
      linkedTo(tables, atPhone) === device && { phone: dial ?? phone }),
  };
}
