import type { JsonObject } from '../json.ts';
import type { ChatSessionStorage } from './chat-sessions.ts';
import type { DeviceStorage } from './devices.ts';
import type { FigureStorage } from './figures.ts';
import type {
  AcceptedDevice,
  Answer,
  CleanUp,
  Commit,
  CommitResult,
  Delivery,
  DeviceId,
  FailedMessage,
  Fence,
  Guard,
  Guarded,
  IncomingMessage,
  Lane,
  Lock,
  ReplyStatus,
  Shareable,
  StateDocument,
  Timed,
  Turn,
  TurnTerms,
} from './records.ts';

export * from './chat-sessions.ts';
export * from './devices.ts';
export * from './figures.ts';
export * from './records.ts';

/**
 * Where Baton keeps everything. Each method is one atomic operation and one round trip; each decides by the
 * storage's own clock, read once after its locks, and none leaves a partial write behind.
 *
 * All reject with BatonError `storage_unavailable` within a bounded time when the storage cannot be reached:
 * the write may then have happened. Repeating is safe, and finds its own work done, for every method but the
 * guarded writes, whose repetition may be refused by what the first try wrote.
 */
export interface Storage extends ChatSessionStorage, DeviceStorage, FigureStorage {
  /** The live lock; past its end it does not exist, cleaned up or not. */
  getLock(device: DeviceId): Promise<Timed & Shareable & { lock: Lock | null }>;
  /** Handing over to `human` also takes the turn from a worker that has not committed, and ends all waiting. */
  setLock(
    device: DeviceId,
    lock: { agent: string; ttlSeconds: number },
    guard: Guard,
  ): Promise<Guarded<{ lock: Lock }>>;
  /** Written also when nothing was held, unless the guard asks for something. */
  clearLock(device: DeviceId, guard: Guard): Promise<Guarded<unknown>>;

  getState(device: DeviceId): Promise<Timed & Shareable & StateDocument>;
  /** @throws {BatonError} `state_too_large` */
  putState(device: DeviceId, state: JsonObject, guard: Guard): Promise<Guarded<StateDocument>>;
  /** RFC 7396, merged where the document lies. @throws {BatonError} `state_too_large` */
  patchState(device: DeviceId, patch: JsonObject, guard: Guard): Promise<Guarded<StateDocument>>;
  clearState(device: DeviceId, guard: Guard): Promise<Guarded<unknown>>;

  /**
   * Stores each message once and takes the turns that are free; one entry per device. A chat session that nobody
   * knows, or that is not its owner's, has no device, and no entry.
   */
  accept(messages: IncomingMessage[], terms: TurnTerms): Promise<AcceptedDevice[]>;
  /** Takes free turns among these devices, where something waits in the lane or, in the builtin one, a reply is due. */
  next(devices: DeviceId[], terms: TurnTerms): Promise<Timed & { turns: Turn[] }>;
  /**
   * Takes turns of the builtin lane that somebody let fall, on any device: messages waiting, replies due.
   *
   * @param restMs milliseconds for which a message that came in is left to whoever stored it
   */
  recover(terms: Omit<TurnTerms, 'lane'>, restMs?: number): Promise<Timed & { turns: Turn[] }>;
  /** Answers what was handed over. Sent twice it writes once. @throws {BatonError} `state_too_large` */
  commit(
    device: DeviceId,
    fence: Fence,
    lane: Lane,
    commit: Commit,
    leaseMs: number,
  ): Promise<CommitResult>;
  /**
   * Notes what became of the replies and ends the turn, or keeps it if more waits and `leaseMs` is not 0. null: the
   * turn was lost; of what it says only `sent` and `failed` are noted, on replies whose fate nobody knows.
   */
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
  /**
   * Notes what a channel reports of its replies, each found by its own id or the channel's. Statuses only move
   * forward, in whatever order they come, and may come before the sender settles. Gives how many were about
   * replies that are kept here.
   */
  noteStatuses(channel: string, statuses: ReplyStatus[]): Promise<Timed & { known: number }>;
  /**
   * What became of a message, and the replies to it.
   *
   * @param account as the message had it; left out: the device
   */
  readAnswer(
    device: DeviceId,
    channel: string,
    messageId: string,
    account?: string,
  ): Promise<Answer>;

  /**
   * Messages that were set aside, of one device or (null) of all, oldest first.
   *
   * @param after id of the last one seen; null: from the beginning
   */
  listFailed(
    device: DeviceId | null,
    after: string | null,
    limit: number,
  ): Promise<Timed & { messages: FailedMessage[] }>;
  /** Lets them wait again with all their tries, at most `limit`; `more`: others are left. */
  retryFailed(
    device: DeviceId | null,
    limit: number,
  ): Promise<Timed & { retried: number; more: boolean }>;

  /** One batch of clean-up. Never a live row; two may run at once. */
  cleanUp(batch: number): Promise<CleanUp>;
  /** Resolves when the storage answers. */
  ping(): Promise<Timed>;
}
