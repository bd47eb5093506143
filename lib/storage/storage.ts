import type { JsonObject } from '../json.ts';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A UUID in lower case; made by `parseDeviceId` alone. */
export type DeviceId = Branded<string, 'DeviceId'>;
/** The token of a turn: a decimal number that only ever grows. */
export type Fence = Branded<string, 'Fence'>;
/** Names a holding of a lock, or one writing of a state. Only equality means anything. */
export type Version = Branded<string, 'Version'>;

/** Whose messages: answered by this deployment's agents, or by a worker elsewhere. */
export type Lane = 'builtin' | 'external';

/** The holder of the lock that no code may answer for. */
export const HUMAN = 'human';

export interface Lock {
  agent: string;
  lockedAt: Date;
  expiresAt: Date;
  /** Seconds; each renewal starts it anew. */
  sessionTtl: number;
  /** Renewal keeps it, every other change draws a new one. */
  version: Version;
}

export interface StateDocument {
  state: JsonObject;
  /** null: there is no document, and `state` is `{}`. */
  version: Version | null;
  updatedAt: Date | null;
}

/** What must hold for a write to happen. `present` with no versions: anything live. */
export type Guard =
  | { kind: 'none' }
  | { kind: 'absent' }
  | { kind: 'present'; versions: Version[] };

/** The storage's own clock, read by the operation itself: no other clock decides anything. */
export interface Timed {
  now: Date;
}

/** Either what was written, or nothing was because the guard did not hold. */
export type Guarded<T> = ({ written: true } & Timed & T) | { written: false };

/** A message as it came in. Either the device is known, or the sender's identities lead to one. */
export interface IncomingMessage {
  sender: { device: DeviceId } | { phone: string | null; userId: string | null };
  channel: string;
  account: string;
  /** With channel and account, what makes two deliveries one message. */
  externalId: string;
  content: string;
  metadata: JsonObject;
  /** The sender's clock; implausible ones (30 days back, 10 minutes ahead) give way to the arrival. */
  sentAt: Date | null;
}

export interface Message {
  id: string;
  messageId: string | null;
  role: 'user' | 'assistant';
  content: string;
  agent: string | null;
  metadata: JsonObject;
  sentAt: Date;
  createdAt: Date;
}

/** A committed reply that has to leave over its channel; `attempts` counts this one. */
export interface OutgoingReply extends Message {
  attempts: number;
  /** Where it goes: the ids the person wrote with, `{phone, user_id}` on WhatsApp. */
  address: Record<string, string>;
}

/**
 * One worker's exclusive right to a device. Either it has `messages` to answer, or, taken over from a worker
 * that fell while sending, `replies` to send.
 */
export interface Turn {
  device: DeviceId;
  fence: Fence;
  expiresAt: Date;
  sessionId: string;
  channel: string;
  account: string;
  /** Where replies go: the ids the person last wrote with, `{phone, user_id}` on WhatsApp. */
  address: Record<string, string>;
  lock: Lock | null;
  state: JsonObject;
  stateVersion: Version | null;
  /** In the order of their senders' clocks, then of arrival; at most 100, all of one session. */
  messages: Message[];
  /** What was said in this session before, oldest first. */
  history: Message[];
  replies: OutgoingReply[];
}

export interface AcceptedMessage {
  /** Place in the batch. */
  index: number;
  id: string;
  messageId: string;
  sessionId: string;
  /** waiting, answered, recorded (a person holds the conversation), failed (set aside), erased. */
  status: string;
  /** Another call stored it before. */
  duplicate: boolean;
}

export interface AcceptedDevice extends Timed {
  device: DeviceId;
  messages: AcceptedMessage[];
  lock: Lock | null;
  /** No turn was taken, yet something waits in the lane. */
  waiting: boolean;
  turn: Turn | null;
}

/** Who takes a turn, and on which terms. */
export interface TurnTerms {
  /** Names the call: the same one again gets its turns again instead of finding them taken. */
  requestId: string;
  lane: Lane;
  /** Milliseconds. */
  leaseMs: number;
  /** Turns taken at most. */
  maxTurns: number;
}

export interface Reply {
  content: string;
  metadata: JsonObject;
  agent: string | null;
}

/** What a turn does with the lock. TTLs in seconds; `renew` without one takes the holding's own again. */
export type LockMove =
  | { do: 'keep' }
  | { do: 'renew'; ttl?: number }
  | { do: 'set'; agent: string; ttl: number }
  | { do: 'clear' };

/** Everything a turn writes. What is left out stays as it is. */
export interface Commit {
  replies: Reply[];
  /** The replies have to be sent before the turn ends. */
  deliver: boolean;
  /** Replaces the document, if nobody has changed it since the grant. */
  state?: JsonObject;
  /** RFC 7396. */
  statePatch?: JsonObject;
  /** Happens only if nobody else moved the lock since the grant. */
  lock: LockMove;
  /** Ends the chat session. */
  complete?: boolean;
}

export type CommitResult = Timed &
  (
    | {
        outcome: 'committed';
        lock: Lock | null;
        sessionId: string | null;
        /** The messages that are answered now. */
        answered: { id: string; messageId: string | null }[];
        replies: OutgoingReply[];
        /** The turn goes on until `settle`: the replies are to be sent now. */
        deliver: boolean;
        /** More waits: the turn was kept, under a new fence. */
        turn: Turn | null;
      }
    | { outcome: 'lost' }
    | { outcome: 'state_conflict' }
  );

/** What became of one reply. `pending`: surely not taken, try again; `unknown`: nobody knows. */
export interface Delivery {
  id: string;
  status: 'sent' | 'printed' | 'failed' | 'pending' | 'unknown';
  externalId?: string;
  /** A code or name, never the channel's text. */
  error?: string;
  /** Milliseconds until the next try. */
  retryMs?: number;
  /** Its turn to be sent never came: counts as no attempt. */
  untried?: boolean;
}

export interface Answer extends Timed {
  /** null: nothing is known of this message. `holder` held the conversation once it was answered. */
  message: { id: string; sessionId: string; status: string; holder: string | null } | null;
  replies: (Message & { answers: string[] })[];
  /** Nobody holds the turn: the message may be taken with `next`. */
  free: boolean;
}

export interface CleanUp extends Timed {
  expiredLocks: number;
  expiredSessions: number;
  purgedMessages: number;
  /** A batch was full: call again. */
  more: boolean;
}

/**
 * Where Baton keeps everything. Each method is one atomic operation and one round trip; each decides by the
 * storage's own clock, read once after its locks, and none leaves a partial write behind.
 *
 * All reject with BatonError `storage_unavailable` within a bounded time when the storage cannot be reached:
 * the write may then have happened. Repeating is safe, and finds its own work done, for every method but the
 * guarded writes, whose repetition may be refused by what the first try wrote.
 */
export interface Storage {
  /** The live lock; past its end it does not exist, cleaned up or not. */
  getLock(device: DeviceId): Promise<Timed & { lock: Lock | null }>;
  /** Handing over to `human` also takes the turn from a worker that has not committed, and ends all waiting. */
  setLock(
    device: DeviceId,
    lock: { agent: string; ttlSeconds: number },
    guard: Guard,
  ): Promise<Guarded<{ lock: Lock }>>;
  /** Written also when nothing was held, unless the guard asks for something. */
  clearLock(device: DeviceId, guard: Guard): Promise<Guarded<unknown>>;

  getState(device: DeviceId): Promise<Timed & StateDocument>;
  /** @throws {BatonError} `state_too_large` */
  putState(device: DeviceId, state: JsonObject, guard: Guard): Promise<Guarded<StateDocument>>;
  /** RFC 7396, merged where the document lies. @throws {BatonError} `state_too_large` */
  patchState(device: DeviceId, patch: JsonObject, guard: Guard): Promise<Guarded<StateDocument>>;
  clearState(device: DeviceId, guard: Guard): Promise<Guarded<unknown>>;

  /** Stores each message once and takes the turns that are free; one entry per device. */
  accept(messages: IncomingMessage[], terms: TurnTerms): Promise<AcceptedDevice[]>;
  /** Takes free turns among these devices, where something waits in the lane. */
  next(devices: DeviceId[], terms: TurnTerms): Promise<Timed & { turns: Turn[] }>;
  /** Takes turns of the builtin lane that somebody let fall, on any device: messages waiting, replies due. */
  recover(terms: Omit<TurnTerms, 'lane'>): Promise<Timed & { turns: Turn[] }>;
  /** Answers what was handed over. Sent twice it writes once. @throws {BatonError} `state_too_large` */
  commit(
    device: DeviceId,
    fence: Fence,
    lane: Lane,
    commit: Commit,
    leaseMs: number,
  ): Promise<CommitResult>;
  /** Notes what became of the replies and ends the turn, or keeps it if more waits. null: the turn was lost. */
  settle(
    device: DeviceId,
    fence: Fence,
    deliveries: Delivery[],
    leaseMs: number,
  ): Promise<(Timed & { turn: Turn | null }) | null>;
  /** Renews the lease; null: the turn was lost. */
  extend(
    device: DeviceId,
    fence: Fence,
    lane: Lane,
    leaseMs: number,
  ): Promise<(Timed & { expiresAt: Date }) | null>;
  /** Releases the turn with its messages still waiting; counts as no attempt. false: the turn was lost. */
  giveBack(device: DeviceId, fence: Fence, lane: Lane): Promise<boolean>;
  /** The turn came to nothing: its messages wait for a later try, or are set aside. null: the turn was lost. */
  fail(
    device: DeviceId,
    fence: Fence,
    error: string,
  ): Promise<(Timed & { retryAt: Date | null }) | null>;
  /** What became of a message, and the replies to it. */
  readAnswer(device: DeviceId, channel: string, messageId: string): Promise<Answer>;

  /** One batch of clean-up. Never a live row; two may run at once. */
  cleanUp(batch: number): Promise<CleanUp>;
  /** Resolves when the storage answers. */
  ping(): Promise<Timed>;
}
