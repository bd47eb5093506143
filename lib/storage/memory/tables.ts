import type { JsonObject } from '../../json.ts';
import type { StorageLimits } from '../limits.ts';
import type { Counter, DeviceId, Fence, Lane, Shareable, Version } from '../storage.ts';

// What is kept, in plain maps. Times are milliseconds since 1970.

export interface Holding {
  agent: string;
  lockedAt: number;
  expiresAt: number;
  /** Seconds. */
  sessionTtl: number;
}

/** The last turn that was given. */
export interface Grant {
  fence: Fence;
  /** The call that took it, or the write that kept it; null: nobody may have it again. */
  owner: string | null;
  lane: Lane;
  /** null: released. Past: anybody may take it, and until somebody does its holder may still write. */
  endsAt: number | null;
  /** What it has to answer; left standing when a lease lapses, which is how a failed attempt is noticed. */
  handed: Row[];
  /** As they were when it was given. */
  lockVersion: Version | null;
  stateVersion: Version | null;
}

/** Everything Baton must know to give a device its next turn. */
export interface Device {
  id: DeviceId;
  createdAt: number;
  /** Past its end it does not exist, though it may still lie here. */
  holding: Holding | null;
  /** Of the holding, or of what ended the last one. */
  lockVersion: Version | null;
  state: JsonObject | null;
  /** Stays when the document goes, so that a later one is never mistaken for an older. */
  stateVersion: Version | null;
  stateUpdatedAt: number;
  /** The running chat session. */
  session: { id: string; endsAt: number } | null;
  /** Place of the last message in the history. */
  lastSeq: number;
  grant: Grant | null;
  /** The newest fence that was committed with, and what; no hash where it only sends what stands there already. */
  committed: { fence: Fence; hash: string | null } | null;
  /** What RATE_LIMIT let in counts until then. */
  rateUntil: number;
  /** When everything of it was erased; null: it never was. */
  erasedAt: number | null;
  /** In the order of their ids. */
  messages: Row[];
}

export interface Session {
  id: string;
  device: DeviceId;
  user: string | null;
  channel: string;
  metadata: JsonObject;
  /** Seconds after the last activity; null: the deployment's. */
  ttl: number | null;
  complete: boolean;
  messageCount: number;
  createdAt: number;
  lastActivity: number;
  expiresAt: number;
}

/** A message, or a reply to some. */
export interface Row {
  id: number;
  device: DeviceId;
  session: string;
  /** Place in the device's history, without gaps; null while waiting. */
  seq: number | null;
  role: 'user' | 'assistant';
  content: string;
  metadata: JsonObject;
  agent: string | null;
  channel: string;
  account: string;
  lane: Lane;
  externalId: string | null;
  /** What makes two deliveries one message; null for a reply of ours. */
  key: string | null;
  address: Record<string, string>;
  /** Of an answered message: who held the conversation afterwards. */
  holder: string | null;
  /** The call that stored it. */
  requestId: string | null;
  status:
    | ('waiting' | 'answered' | 'recorded' | 'failed' | 'erased')
    | ('pending' | 'sending' | 'unknown' | 'sent' | 'printed' | 'delivered' | 'read');
  /** Of a reply: the messages it answers. */
  answers: Row[];
  /** The fence it was answered or written with. */
  fence: Fence | null;
  attempts: number;
  error: string | null;
  /** Of an unsettled reply: nobody tries it before. */
  claimEndsAt: number;
  sentAt: number;
  createdAt: number;
}

export interface LockEvent {
  device: DeviceId;
  agent: string;
  startedAt: number;
  endedAt: number;
  reason: 'expired' | 'cleared' | 'handed_over';
}

export interface LinkCode {
  /** Whose conversation it opens. */
  device: DeviceId;
  /** To whom alone it is still good. */
  redeemedBy: DeviceId | null;
  endsAt: number;
}

export interface Tables {
  devices: Map<DeviceId, Device>;
  sessions: Map<string, Session>;
  /** The de-duplication: messages by their keys. */
  keys: Map<string, Row>;
  /** Devices by what their senders are called: `[channel, account, kind, value]` as JSON. */
  identities: Map<string, DeviceId>;
  /** When the clean-up last saw that an identity is needed, or it was learnt. */
  checked: Map<string, number>;
  /** Codes by which another device joins a conversation. */
  linkCodes: Map<string, LinkCode>;
  /** Wrong ones that a device has tried. */
  linkTries: Map<DeviceId, { count: number; since: number }>;
  /** Oldest first. */
  events: LockEvent[];
  /** What the instances have counted: `[name, label]` as JSON. */
  counters: Map<string, Counter>;
  /** The last version or fence that was drawn, and the last id. */
  drawn: number;
  lastId: number;
}

/** What every operation works on. */
export interface Memory {
  tables: Tables;
  limits: StorageLimits;
  /** The one clock. An operation reads it once. */
  now: () => number;
  /** The device of an identity nobody has seen before: the same each time, and not to be guessed. */
  deviceOf: (identity: string) => DeviceId;
}

export const emptyTables = (): Tables => ({
  devices: new Map(),
  sessions: new Map(),
  keys: new Map(),
  identities: new Map(),
  checked: new Map(),
  linkCodes: new Map(),
  linkTries: new Map(),
  events: [],
  counters: new Map(),
  drawn: 0,
  lastId: 0,
});

/** What makes two deliveries one message. */
export const keyOf = (channel: string, account: string, externalId: string): string =>
  JSON.stringify([channel, account, externalId]);

/** The device's row, made if there is none. */
export function deviceRow({ devices }: Tables, id: DeviceId, now: number): Device {
  const known = devices.get(id);
  if (known !== undefined) return known;
  const fresh = newDevice(id, now);
  devices.set(id, fresh);
  return fresh;
}

export const newDevice = (id: DeviceId, now: number): Device => ({
  id,
  createdAt: now,
  holding: null,
  lockVersion: null,
  state: null,
  stateVersion: null,
  stateUpdatedAt: 0,
  session: null,
  lastSeq: 0,
  grant: null,
  committed: null,
  rateUntil: 0,
  erasedAt: null,
  messages: [],
});

/** The name of a device as one that was linked to another. */
export const linkName = (id: DeviceId): string => JSON.stringify(['device', '', 'device', id]);
export const isLinkName = (name: string): boolean => name.startsWith('["device",');

/** The device whose conversation a device shares; itself where it was never linked. */
export const linkedTo = ({ identities }: Tables, id: DeviceId): DeviceId =>
  identities.get(linkName(id)) ?? id;

/** Several devices lead to its conversation, or a code lets another in, and for a minute longer than it is good. */
export function sharing(tables: Tables, id: DeviceId, now: number): Shareable {
  const { identities, linkCodes } = tables;
  const isShared =
    linkedTo(tables, id) !== id ||
    [...identities].some(([name, leadsTo]) => leadsTo === id && isLinkName(name)) ||
    [...linkCodes.values()].some(({ device, endsAt }) => device === id && endsAt > now - 60_000);
  return isShared ? { shared: true } : {};
}

export const messagesIn = ({ devices }: Tables, { id, device }: Session): Row[] =>
  (devices.get(device)?.messages ?? []).filter(({ session }) => session === id);

/** Fences and versions of every device come from here, so that none ever falls back. */
export const drawFence = (tables: Tables): Fence => String(++tables.drawn) as Fence;
export const drawVersion = (tables: Tables): Version => String(++tables.drawn) as Version;

/** The device whose turn a token is of: the caller's own, or the one it is linked to; a turn may be older than a link. */
export function turnDevice(tables: Tables, id: DeviceId, fence: Fence): DeviceId {
  const linked = linkedTo(tables, id);
  const { grant, committed } = tables.devices.get(linked) ?? {};
  return grant?.fence === fence || committed?.fence === fence ? linked : id;
}
