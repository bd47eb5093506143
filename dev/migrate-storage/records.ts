import type { JsonObject } from '../../lib/json.ts';

// What is kept, in words that are no storage's own: ids, fences and versions as decimal texts, times in milliseconds,
// null where there is nothing. Two storages keep the same where their records are equal.

/** What is moved, and replaced, as a whole. */
export const units = ['device', 'identity', 'link', 'key'] as const;
export type Unit = (typeof units)[number];

/** A device, but for what was said: who holds it, its state's version, its turn. */
export interface Device {
  createdAt: number;
  erasedAt: number | null;
  lastSeq: number;
  rateUntil: number | null;
  lock: { agent: string; lockedAt: number; expiresAt: number; sessionTtl: number } | null;
  lockVersion: string | null;
  session: { id: string; endsAt: number | null } | null;
  stateVersion: string | null;
  stateUpdatedAt: number | null;
  /** The newest turn; `endsAt` null: it was released. */
  grant: {
    fence: string;
    owner: string | null;
    lane: string | null;
    endsAt: number | null;
    handed: string[];
    lockVersion: string | null;
    stateVersion: string | null;
  } | null;
  /** `hash`: of what was written. Each storage has its own way to make it. */
  committed: { fence: string; hash: string | null } | null;
}

export interface Holding {
  agent: string;
  startedAt: number;
  endedAt: number;
  reason: string;
}

export interface Session {
  id: string;
  user: string | null;
  channel: string;
  metadata: JsonObject;
  ttl: number | null;
  complete: boolean;
  messageCount: number;
  createdAt: number;
  lastActivity: number;
  expiresAt: number;
}

export interface Message {
  id: string;
  session: string;
  seq: number | null;
  role: string;
  content: string;
  metadata: JsonObject;
  agent: string | null;
  channel: string;
  account: string;
  lane: string;
  externalId: string | null;
  /** It is known again when it is delivered once more. */
  keyed: boolean;
  address: Record<string, string> | null;
  holder: string | null;
  requestId: string | null;
  status: string;
  answers: string[] | null;
  fence: string | null;
  attempts: number;
  error: string | null;
  claimEndsAt: number | null;
  sentAt: number;
  createdAt: number;
}

/** One thing that is kept; `of` names its unit. What stands beside `data` is taken along, and not compared. */
export type Row =
  | { kind: 'devices'; of: string; data: Device }
  | { kind: 'states'; of: string; data: { document: JsonObject } }
  | { kind: 'holdings'; of: string; data: Holding }
  | { kind: 'sessions'; of: string; data: Session }
  /** `key`: the sender's id of the message, where deliveries are compared by it; also of one that was erased. */
  | { kind: 'messages'; of: string; data: Message; key: string | null }
  /** `seenAt`: when it was last needed, as far as that is known. */
  | { kind: 'identities'; of: string; data: { device: string }; seenAt: number }
  | { kind: 'links'; of: string; data: { device: string }; seenAt: number }
  /** What is left of a message whose words went: by it a redelivery is known. */
  | { kind: 'keys'; of: string; data: { device: string; id: string; session: string }; at: number };

export type Kind = Row['kind'];
export const kinds = [
  'devices',
  'states',
  'holdings',
  'sessions',
  'messages',
  'identities',
  'links',
  'keys',
] as const satisfies Kind[];

export type RowOf<K extends Kind> = Extract<Row, { kind: K }>;
export const rowsOf = <K extends Kind>(rows: readonly Row[], kind: K): RowOf<K>[] =>
  rows.filter((row): row is RowOf<K> => row.kind === kind);

/** The id of an identity, or of a message's key. */
export const nameOf = (...parts: string[]): string => JSON.stringify(parts);

/** A channel may tell the same message again for so long (ms): then keys go. */
export const KEPT_KEYS = 8 * 86_400_000;

/** What Redis keeps of a session: its last messages, so many and so many bytes; and of a device's last holdings. */
export interface Kept {
  messages: number;
  bytes: number;
  holdings: number;
}

/** What of a storage takes part. */
export interface Selection {
  /** Messages that came before (ms) are not told again. */
  keyedSince: number;
  /** null: all. */
  kept: Kept | null;
  /** What is left of erased messages: where it is no more than a hash, no other storage knows it again. */
  erased: boolean;
}

/** How far the numbers have come that a storage gives. */
export interface Counters {
  fence: bigint;
  id: bigint;
}

/** On the target, from the beginning of a move on. */
export interface Mark {
  /** Names the source. */
  id: string;
  startedAt: Date;
  completedAt: Date | null;
}

/** What is kept in a storage. Writing is all or nothing for each unit, and may be repeated. */
export interface Records {
  /** All units of a kind, a hundred at most at once; one may come twice. */
  ids(unit: Unit): AsyncGenerator<string[]>;
  present(unit: Unit, ids: readonly string[]): Promise<Set<string>>;
  /** What belongs to one unit and is of one kind comes in its order. */
  read(unit: Unit, ids: readonly string[]): AsyncGenerator<Row[]>;
  /** In the place of what was there. */
  write(unit: Unit, ids: readonly string[], rows: AsyncIterable<Row[]>): Promise<void>;
  drop(unit: Unit, ids: readonly string[]): Promise<void>;
}

/** One of the two storages. */
export interface Side {
  name: 'redis' | 'postgres';
  /** The same for the same storage, whoever asks. */
  identity: string;
  select(selection: Selection): Records;
  isEmpty(): Promise<boolean>;
  mark(): Promise<Mark | null>;
  begin(id: string): Promise<Mark>;
  complete(id: string): Promise<void>;
  counters(): Promise<Counters>;
  /** From now on it gives larger numbers. */
  raise(counters: Counters): Promise<void>;
  /** What is not moved, a sentence each. */
  leftBehind(): Promise<string[]>;
}
