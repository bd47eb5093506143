import type { ListedSession } from './chat-sessions.ts';
import type { DeviceId, Lock, Timed, Version } from './records.ts';

/** A time for which an agent held a device. */
export interface Holding {
  agent: string;
  from: Date;
  to: Date;
  reason: 'expired' | 'cleared' | 'handed_over';
}

/** What is stored about a device. */
export interface DeviceRecord {
  createdAt: Date;
  updatedAt: Date;
  lock: Lock | null;
  /** null: there is no document. */
  state: { version: Version; bytes: number; updatedAt: Date } | null;
  messages: {
    /** By whom they are, of all that are kept. */
    user: number;
    assistant: number;
    /** Of the user's: not answered yet, and set aside. */
    waiting: number;
    failed: number;
  };
  /** Of all sessions; the last ones follow, also those that are over. */
  sessionCount: number;
  sessions: ListedSession[];
  /** Newest first; the one that lasts is `lock`. */
  holdings: Holding[];
}

/** What was erased, by counts. */
export interface Receipt {
  /** Devices of which nothing is left. */
  devices: number;
  /** Devices of which only a user's own chat sessions went: others have some there as well. */
  shared: number;
  sessions: number;
  /** With words in them, replies included. */
  messages: number;
  /** Of locks. */
  holdings: number;
  /** Phone numbers and other ids that led to the devices, and links of other devices to them. */
  identities: number;
}

/** How many wrong codes may be tried within how many seconds: by one device, and by all. */
export interface LinkLimits {
  own: number;
  all: number;
  seconds: number;
}

/** Devices as such. The same promises as `Storage` gives. */
export interface DeviceStorage {
  /**
   * Makes a device known of which nothing is. false: something was, and nothing was written; that is also what the
   * same call finds after its own success.
   */
  registerDevice(device: DeviceId): Promise<boolean>;
  /**
   * As of one moment.
   *
   * @param user of the sessions only this user's; null: all
   * @param limit sessions, and holdings, at most
   */
  readDevice(
    device: DeviceId,
    user: string | null,
    limit: number,
  ): Promise<(Timed & { record: DeviceRecord }) | null>;

  /**
   * Erases everything of a device and of the one it is linked to. Keys of messages stay for eight days, so that a late
   * redelivery is known and brings nothing back; a worker that is at an answer loses the turn.
   */
  eraseDevice(device: DeviceId): Promise<Timed & { receipt: Receipt }>;
  /**
   * Erases the devices on which a user has chat sessions, at most so many of them; `more`: others are left, call again.
   * Where others have sessions on the same device, the user's own sessions go and the rest stays.
   */
  eraseUser(user: string, limit: number): Promise<Timed & { receipt: Receipt; more: boolean }>;

  /**
   * Gives the device's conversation the first of these codes that no other has; the one before is good no more.
   *
   * @param seconds the code is good for
   * @returns link null: others have all of them
   */
  offerLink(
    device: DeviceId,
    codes: string[],
    seconds: number,
  ): Promise<Timed & { link: { code: string; expiresAt: Date } | null }>;
  /**
   * Lets a device join the conversation a code opens: lock, state, sessions, messages and turns are shared from then on.
   * What it had of its own stays, out of sight, until it is unlinked. Devices linked to it follow. A code is good for
   * one device, to which it may be given twice.
   *
   * @returns outcome invalid: wrong, over, or used by another; own: the device's own; too_many: whatever it is
   */
  redeemLink(
    device: DeviceId,
    code: string,
    limits: LinkLimits,
  ): Promise<Timed & { outcome: 'linked' | 'own' | 'invalid' | 'too_many' }>;
  /** Parts a device from the conversation it joined; where it joined none, every device from its own. Gives how many. */
  unlink(device: DeviceId): Promise<Timed & { unlinked: number }>;
}
