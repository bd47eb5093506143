import type { DeviceId, Lane, Storage } from '../../lib/storage/storage.ts';

// A history is what the callers saw, call by call; the rest of the evidence is what the tables held in the end.
// Process times are milliseconds of performance.now(), database times milliseconds since 1970.

/** The calls that are made. */
export type Kind =
  | 'accept'
  | 'next'
  | 'recover'
  | 'commit'
  | 'settle'
  | 'extend'
  | 'giveBack'
  | 'fail'
  | 'getLock'
  | 'setLock'
  | 'clearLock'
  | 'patchState'
  | 'cleanUp';

/** Unknown: the call failed, with this code; it may have happened all the same. */
export type Result<T> = { known: true; value: T } | { known: false; code: string };
export type Value<K extends Kind> = Awaited<ReturnType<Storage[K]>>;

/** A statement that failed under way; it may have happened, at any time between these two. */
export interface BrokenTry {
  from: number;
  /** Infinity: the client gave up waiting, and the server may still be at it. */
  to: number;
}

/** Process times. */
export interface CallOf<K extends Kind> {
  id: number;
  worker: number;
  invoked: number;
  responded: number;
  /** The storage repeats a call whose connection broke: each such try by itself. */
  broken: BrokenTry[];
  kind: K;
  args: Parameters<Storage[K]>;
  result: Result<Value<K>>;
}
export type Call = { [K in Kind]: CallOf<K> }[Kind];

/** What a call of each kind tells; a kind that is left out tells nothing. */
type Readers<T> = { [K in Kind]?: (call: CallOf<K>) => T[] };
type AnswerReaders<T> = {
  [K in Kind]?: (value: Value<K>, args: Parameters<Storage[K]>) => T[];
};

export function readCall<T>(call: Call, readers: Readers<T>): T[] {
  // the reader under a call's kind is for calls of that kind; a lookup by union cannot know
  const reader = readers[call.kind] as ((call: Call) => T[]) | undefined;
  return reader?.(call) ?? [];
}

/** The same, of calls whose answer came. */
export function readAnswer<T>(call: Call, readers: AnswerReaders<T>): T[] {
  if (!call.result.known) return [];
  const reader = readers[call.kind] as ((value: unknown, args: unknown) => T[]) | undefined;
  return reader?.(call.result.value, call.args) ?? [];
}

/** A row of chat_messages. */
export interface MessageRow {
  id: string;
  device: DeviceId;
  session: string;
  seq: number | null;
  role: 'user' | 'assistant';
  content: string;
  lane: Lane;
  externalId: string | null;
  status: string;
  answers: string[] | null;
  fence: string | null;
}

/** A row of conversation_states. */
export interface DeviceRow {
  device: DeviceId;
  agent: string | null;
  lastSeq: number;
  state: Record<string, unknown> | null;
}

/** A row of lock_events, in database time. */
export interface EventRow {
  device: DeviceId;
  agent: string;
  startedAt: number;
  endedAt: number;
  reason: string;
}

/** What the tables hold after the last call. */
export interface Dump {
  messages: MessageRow[];
  devices: DeviceRow[];
  /** In the order in which they were written. */
  events: EventRow[];
}

/** Everything a check may look at. */
export interface Evidence {
  calls: Call[];
  dump: Dump;
  devices: DeviceId[];
  /** Database time less process time. */
  clockOffset: number;
  /** Process time from which rows were moved in time, so that what waits is taken at once. */
  drainedFrom: number;
}

/** What is promised, by a short name. */
export type Rule =
  | 'answer'
  | 'delivery'
  | 'device'
  | 'fence'
  | 'holder'
  | 'human'
  | 'lock'
  | 'order'
  | 'refusal'
  | 'state'
  | 'wake-up';

/** A broken promise. */
export interface Violation {
  rule: Rule;
  device: DeviceId | null;
  /** A sentence. */
  what: string;
  /** The calls that show it, by id. */
  calls: number[];
}

/** What a script says holds where it belongs, so that anything in the wrong place can be told. */
export const questionOf = (device: DeviceId, externalId: string) => `${device} ${externalId}`;
export const replyTo = (device: DeviceId, externalId: string) => `${device} re ${externalId}`;
export const agentOf = (device: DeviceId, name: number) => `${device} ${name}`;
