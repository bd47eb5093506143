import type { JsonObject } from '../../lib/json.ts';
import type { Delivery, Lane, LockMove, ReplyStatus } from '../../lib/storage/storage.ts';

// A script is a list of these: data alone, so that it can be shrunk, printed and played again. What it names by a
// number (a device, a turn, a reply) is looked up when it is played, the newest first; a name that leads to nothing
// yet makes the command do nothing.

/** `large`: one that MAX_STATE_BYTES refuses, as the model tests set it, whoever counts. */
export type Document = JsonObject | 'large';

/** Who says something: one of the web devices, whoever speaks in a chat session, or whom a channel knows by these ids. */
export type Who =
  | { device: number }
  | { session: number; owner: number | null }
  | { phone: string | null; userId: string | null };

export interface Said {
  who: Who;
  /** External ids are few, so that some come twice. */
  id: number;
  /** Milliseconds from now; left out: no clock. */
  sent?: number;
  answerWithin?: number;
  turn?: false;
  byHuman?: number | null;
  becomes?: { phone: string | null; userId: string | null };
  revokes?: number;
  maxWaiting?: number;
}

export interface Terms {
  request: number;
  lane: Lane;
  maxTurns: number;
  leaseMs: number;
}

/** Names a version of what is guarded: the newest that was seen of the device, the one before, or any. */
export type GuardBy = 'none' | 'absent' | 'any' | 'newest' | 'older';

export interface Answered {
  replies: number;
  deliver: boolean;
  state?: Document;
  statePatch?: Document;
  lock: LockMove;
  complete?: boolean;
}

/** What is said of one reply of the turn; null: nothing. */
export type Fate = Omit<Delivery, 'id' | 'externalId' | 'instead'> & {
  attempt?: number;
  instead?: true;
};

export interface Told {
  reply: number;
  status: ReplyStatus['status'];
  /** Found by its own id, not by the channel's. */
  byId: boolean;
  attempt: number;
  retryMs?: number;
}

export type Command =
  | ({ do: 'accept'; said: Said[] } & Terms)
  | ({ do: 'next'; devices: number[] } & Terms)
  | { do: 'recover'; maxTurns: number; leaseMs: number }
  | { do: 'commit'; turn: number; otherLane?: true; content: Answered; leaseMs: number }
  | { do: 'commit again'; turn: number; leaseMs: number }
  | { do: 'settle'; turn: number; fates: (Fate | null)[]; leaseMs: number }
  | { do: 'extend'; turn: number; leaseMs: number }
  | { do: 'give back'; turn: number }
  | { do: 'fail'; turn: number }
  | { do: 'set lock'; device: number; agent: string; ttl: number; guard: GuardBy }
  | { do: 'clear lock'; device: number; guard: GuardBy }
  | { do: 'put state'; device: number; document: Document; guard: GuardBy }
  | { do: 'patch state'; device: number; document: Document; guard: GuardBy }
  | { do: 'clear state'; device: number; guard: GuardBy }
  | { do: 'note statuses'; told: Told[] }
  | { do: 'read answer'; device: number; id: number }
  | { do: 'list failed'; device: number | null; limit: number }
  | { do: 'retry failed'; device: number | null; limit: number }
  | {
      do: 'create session';
      device: number;
      id: number;
      user: string | null;
      ttl: number | null;
      living: number;
      hourly: number;
    }
  | {
      do: 'patch session';
      session: number;
      owner: number | null;
      metadata: Document;
      complete: boolean;
    }
  | { do: 'delete session'; session: number; owner: number | null; includeExpired: boolean }
  | {
      do: 'read history';
      session: number;
      includeExpired: boolean;
      before: number | null;
      limit: number;
    }
  | {
      do: 'list sessions';
      device: number | null;
      user: string | null;
      active: boolean | null;
      includeExpired: boolean;
    }
  | { do: 'export'; session: number }
  | { do: 'erase device'; device: number }
  | { do: 'erase user'; user: string; limit: number }
  | { do: 'link'; device: number; to: number; code: 'right' | 'wrong' }
  | { do: 'unlink'; device: number }
  | { do: 'clean up'; batch: number }
  /** To just before, exactly at, or just after the nth time that will matter. */
  | { do: 'wait until'; nth: number; off: -1 | 0 | 1 }
  | { do: 'wait'; ms: number };

export const WEB_DEVICES = 3;
