import { type JsonObject, parseJson } from '../../lib/json.ts';
import { type List, listOf } from '../../lib/storage/redis/views.ts';
import type { Device, Holding, Message, Row, RowOf, Selection } from './records.ts';

// What Redis keeps of a device, as its scripts write it, and the same as records.

/** Milliseconds; a script may have added parts of one. */
const ms = (time: number | string | undefined): number | null =>
  time === undefined ? null : Math.round(Number(time));
const documentOf = (text: string) => (text === '' ? {} : parseJson(text)) as JsonObject;

interface StoredDevice {
  id: string;
  createdAt: number;
  lastSeq: number;
  erasedAt?: number;
  rateUntil?: string | number;
  holding?: { agent: string; lockedAt: number; expiresAt: number; sessionTtl: number };
  lockVersion?: string;
  session?: { id: string; endsAt: number };
  stateVersion?: string;
  stateUpdatedAt?: number;
  grant?: {
    fence: string;
    owner?: string;
    lane?: string;
    endsAt?: number;
    handed: List<string>;
    lockVersion?: string;
    stateVersion?: string;
  };
  committed?: { fence: string; hash?: string };
}

export function parseDevice(text: string): Device {
  const { holding, session, grant, committed, ...device } = parseJson(text) as StoredDevice;
  return {
    createdAt: Math.round(device.createdAt),
    erasedAt: ms(device.erasedAt),
    lastSeq: device.lastSeq,
    rateUntil: ms(device.rateUntil),
    lock:
      holding === undefined
        ? null
        : {
            agent: holding.agent,
            lockedAt: Math.round(holding.lockedAt),
            expiresAt: Math.round(holding.expiresAt),
            sessionTtl: holding.sessionTtl,
          },
    lockVersion: device.lockVersion ?? null,
    session: session === undefined ? null : { id: session.id, endsAt: Math.round(session.endsAt) },
    stateVersion: device.stateVersion ?? null,
    stateUpdatedAt: ms(device.stateUpdatedAt),
    grant:
      grant === undefined
        ? null
        : {
            fence: grant.fence,
            owner: grant.owner ?? null,
            lane: grant.lane ?? null,
            endsAt: ms(grant.endsAt),
            handed: listOf(grant.handed),
            lockVersion: grant.lockVersion ?? null,
            stateVersion: grant.stateVersion ?? null,
          },
    committed:
      committed === undefined ? null : { fence: committed.fence, hash: committed.hash ?? null },
  };
}

/** As a script takes it, which leaves out what is null. */
export const printDevice = (id: string, { lock, ...device }: Device) => ({
  ...device,
  id,
  holding: lock,
  rateUntil: device.rateUntil === null ? null : String(device.rateUntil),
});

export const parseHolding = (text: string): Holding => {
  const { agent, startedAt, endedAt, reason } = parseJson(text) as Holding;
  return { agent, startedAt: Math.round(startedAt), endedAt: Math.round(endedAt), reason };
};

interface StoredSession {
  id: string;
  user?: string;
  channel: string;
  ttl?: number;
  complete: boolean;
  messageCount: number;
  createdAt: number;
  lastActivity: number;
  expiresAt: number;
}

export function parseSession(of: string, text: string, metadata: string): RowOf<'sessions'> {
  const session = parseJson(text) as StoredSession;
  return {
    kind: 'sessions',
    of,
    data: {
      id: session.id,
      user: session.user ?? null,
      channel: session.channel,
      metadata: documentOf(metadata),
      ttl: session.ttl ?? null,
      complete: session.complete,
      messageCount: session.messageCount,
      createdAt: Math.round(session.createdAt),
      lastActivity: Math.round(session.lastActivity),
      expiresAt: Math.round(session.expiresAt),
    },
  };
}

export const printSession = ({ of, data: { metadata, ...session } }: RowOf<'sessions'>) => ({
  session: { ...session, device: of },
  metadata: JSON.stringify(metadata),
});

interface StoredRow {
  id: number;
  session: string;
  seq?: number;
  role: string;
  agent?: string;
  channel: string;
  account: string;
  lane: string;
  externalId?: string;
  key?: string;
  address?: Record<string, string>;
  holder?: string;
  requestId?: string;
  status: string;
  answers?: List<string>;
  fence?: string;
  attempts: number;
  error?: string;
  claimEndsAt: number;
  sentAt: number;
  createdAt: number;
}

/** @param keyPrefix what stands before a message's channel, account and id in its key */
export function parseMessage(
  of: string,
  text: string,
  [content, metadata]: [string, string],
  { keyedSince }: Selection,
  keyPrefix: string,
): RowOf<'messages'> {
  const row = parseJson(text) as StoredRow;
  const createdAt = Math.round(row.createdAt);
  const address = row.address ?? {};
  const data: Message = {
    id: String(row.id),
    session: row.session,
    seq: row.seq ?? null,
    role: row.role,
    content,
    metadata: documentOf(metadata),
    agent: row.agent ?? null,
    channel: row.channel,
    account: row.account,
    lane: row.lane,
    externalId: row.externalId ?? null,
    keyed: row.key !== undefined && createdAt > keyedSince,
    address: Object.keys(address).length === 0 ? null : address,
    holder: row.holder ?? null,
    requestId: row.requestId ?? null,
    status: row.status,
    answers: row.answers === undefined ? null : listOf(row.answers),
    fence: row.fence ?? null,
    attempts: row.attempts,
    error: row.error ?? null,
    claimEndsAt: row.claimEndsAt === 0 ? null : Math.round(row.claimEndsAt),
    sentAt: Math.round(row.sentAt),
    createdAt,
  };
  return { kind: 'messages', of, data, key: keyOf(row.key, keyPrefix) };
}

function keyOf(key: string | undefined, prefix: string): string | null {
  if (key === undefined) return null;
  const [, , id] = parseJson(key.slice(prefix.length)) as string[];
  return id ?? null;
}

export function printMessage({ of, data, key }: RowOf<'messages'>) {
  const { content, metadata, keyed: _keyed, ...row } = data;
  return {
    row: {
      ...row,
      id: Number(row.id),
      device: of,
      address: row.address ?? {},
      claimEndsAt: row.claimEndsAt ?? 0,
    },
    keyed: key !== null,
    content,
    metadata: JSON.stringify(metadata),
  };
}

/** When somebody was heard last, and whether they were asked to write again since, on one of a device's ways. */
interface Way {
  channel: string;
  account: string;
  heardAt: number;
  heardSeq: number;
  askedSeq: number;
}

/** What Redis keeps of a device beside its messages, and what follows from them. */
export class Ways {
  readonly #ways = new Map<string, Way>();

  add({ data }: RowOf<'messages'>): void {
    const { channel, account, role, seq, sentAt } = data;
    const name = JSON.stringify([channel, account]);
    const way = this.#ways.get(name) ?? { channel, account, heardAt: 0, heardSeq: 0, askedSeq: 0 };
    this.#ways.set(name, way);
    if (role === 'user') {
      way.heardAt = Math.max(way.heardAt, sentAt);
      way.heardSeq = Math.max(way.heardSeq, seq ?? 0);
    } else if (data.metadata['reopens'] === true) {
      way.askedSeq = Math.max(way.askedSeq, seq ?? 0);
    }
  }

  heard(): { channel: string; account: string; at: number }[] {
    const all = [...this.#ways.values()].filter(({ heardAt }) => heardAt > 0);
    return all.map(({ channel, account, heardAt: at }) => ({ channel, account, at }));
  }

  asked(): { channel: string; account: string }[] {
    const all = [...this.#ways.values()].filter(({ askedSeq, heardSeq }) => askedSeq > heardSeq);
    return all.map(({ channel, account }) => ({ channel, account }));
  }
}

/** Of rows of several devices those of each. */
export const byUnit = <R extends Row>(rows: readonly R[]): Map<string, R[]> =>
  Map.groupBy(rows, ({ of }) => of);
