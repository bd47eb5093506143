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

/**
 * `shared`: other devices lead to this conversation too, or a code lets one in. What is written through one of them
 * nobody can tell to be about the other, but for the storage itself. What a cache must not keep; a storage that none
 * stands before need not say it.
 */
export interface Shareable {
  shared?: boolean;
}

/** Either what was written, or nothing was because the guard did not hold. */
export type Guarded<T> = ({ written: true } & Timed & T) | { written: false };

/** Who a sender is to a channel that has no device ids. Scoped by channel and account. */
export interface Identity {
  /** What the numbers of one person have in common: a key, not a way to reach anybody. */
  phone: string | null;
  userId: string | null;
  /** The number as the channel writes it, where replies go; left out: `phone`. */
  dial?: string;
}

/** A message as it came in. Either the device is known, or the sender's identities lead to one. */
export interface IncomingMessage {
  /**
   * A device speaks in its current chat session; where a session is named, in that one, and its device is meant, which
   * must be the `owner` where one is given.
   */
  sender: { device: DeviceId } | { session: string; owner?: DeviceId | null } | Identity;
  channel: string;
  /** The business's own end, a number that people write to; empty where there is none: the device itself. */
  account: string;
  /** With channel and account, what makes two deliveries one message. */
  externalId: string;
  content: string;
  metadata: JsonObject;
  /** The sender's clock; implausible ones (30 days back, 10 minutes ahead) give way to the arrival. */
  sentAt: Date | null;
  /** Seconds after `sentAt` in which it may be answered; later it only enters the history. Left out: for ever. */
  answerWithin?: number;
  /** false: enters the history at once and starts no turn. */
  turn?: false;
  /** Refused where so many messages wait for an answer on the device; left out: it is stored in any case. */
  maxWaiting?: number;
  /** Refused where the device has sent so many within a minute; left out: it is not counted. A known one never is. */
  perMinute?: number;
  /** A person said it for the business: the conversation is theirs for so many seconds. Never starts a turn. */
  byHuman?: { ttlSeconds: number | null };
  /** The sender's ids have become these; both lead to the sender's device from now on. */
  becomes?: { phone: string | null; userId: string | null };
  /** The external id of a message that was taken back; marked `deleted` in its metadata where it is known. */
  revokes?: string;
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
  /** The person wrote within the last 24 hours. */
  inWindow: boolean;
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

/** What a limit of messages within a minute has left. */
export interface Rate {
  /** Messages that would be let in now. */
  left: number;
  /** Milliseconds until all of them would. */
  resetMs: number;
  /** Milliseconds until the next one would. */
  retryMs: number;
}

export interface AcceptedDevice extends Timed {
  device: DeviceId;
  messages: AcceptedMessage[];
  /** Messages that were not stored: the chat session they name is over, or complete; too many wait, or came at once. */
  refused: {
    index: number;
    reason: 'session_not_found' | 'session_complete' | 'rate_limited' | 'too_fast';
  }[];
  /** Where messages were counted. */
  rate?: Rate;
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
  /** Of a failed one: a reply that goes out in its place, marked `reopens`. Not twice before the person has written. */
  instead?: Reply;
}

/** What a channel reports of a reply it was given. */
export interface ReplyStatus {
  account: string;
  /** The channel's id of the reply. */
  externalId: string;
  /** The reply's own id, where the channel gives it back. */
  replyId: string | null;
  status: 'sent' | 'delivered' | 'read' | 'failed';
  /** A code or name, never the channel's text. */
  error?: string;
  /** Milliseconds until another try, of a failure that may pass; left out: it is final. */
  retryMs?: number;
}

export interface Answer extends Timed {
  /** null: nothing is known of this message. `holder` held the conversation once it was answered. */
  message: {
    id: string;
    sessionId: string;
    content: string;
    status: string;
    holder: string | null;
  } | null;
  replies: (Message & { answers: string[] })[];
  /** Nobody holds the turn: the message may be taken with `next`. */
  free: boolean;
}

/** A message that was set aside, its turn having failed MAX_ATTEMPTS times. */
export interface FailedMessage extends Message {
  device: DeviceId;
  sessionId: string;
  channel: string;
  lane: Lane;
  attempts: number;
  /** An error's name or code. */
  error: string | null;
}

export interface CleanUp extends Timed {
  expiredLocks: number;
  expiredSessions: number;
  purgedMessages: number;
  /** A batch was full: call again. */
  more: boolean;
}
