import type { JsonObject } from '../json.ts';
import type { DeviceId, Message, Timed } from './records.ts';

/** A thread of messages of one device. */
export interface ChatSession {
  id: string;
  device: DeviceId;
  /** Whoever the caller says it belongs to. */
  user: string | null;
  /** How it was begun. */
  channel: string;
  metadata: JsonObject;
  complete: boolean;
  /** In its history: what waits does not count. */
  messageCount: number;
  createdAt: Date;
  lastActivity: Date;
  /** From here on it is absent, cleaned up or not. */
  expiresAt: Date;
}

/** As a list has it: metadata of more than 4 kB is null, and read with the session. */
export type ListedSession = Omit<ChatSession, 'metadata'> & { metadata: JsonObject | null };

export interface NewSession {
  /** Drawn by the caller, so that the same call again finds what the first one made. */
  id: string;
  device: DeviceId;
  user: string | null;
  channel: string;
  metadata: JsonObject;
  /** Seconds after the last activity; null: the deployment's. */
  ttlSeconds: number | null;
}

/** Sessions that a user, or a device where no user is named, may have; 0: any number. */
export interface SessionCaps {
  living: number;
  /** Begun within an hour. */
  hourly: number;
}

/** How far a caller sees. To whom a session is out of reach, it is absent. */
export interface Reach {
  /** Sessions of this device alone; null: of any. */
  owner: DeviceId | null;
  /** Also the ones that are over, until they are purged. */
  includeExpired: boolean;
}

/** Whose sessions: of a user, of a device, of both at once, or of everybody (both null). */
export interface SessionScope {
  user: string | null;
  device: DeviceId | null;
  /** true: only what neither is over nor complete; false: only what is; null: either. */
  active: boolean | null;
  includeExpired: boolean;
}

/** The last session of a page, from which the next one goes on. */
export interface ListPlace {
  lastActivity: Date;
  id: string;
}

export interface SessionPage extends Timed {
  sessions: ListedSession[];
  /** On all pages. */
  total: number;
  next: ListPlace | null;
}

/** A piece of a message's text. `hit`: one of the words that were looked for. */
export interface SnippetPart {
  text: string;
  hit: boolean;
}

export type FoundSession = ListedSession & {
  /** The messages that fit best, at most five. */
  matches: { messageId: string; snippet: SnippetPart[] }[];
};

export interface FoundPlace extends ListPlace {
  rank: number;
}

export interface FoundPage extends Timed {
  sessions: FoundSession[];
  total: number;
  /** The words are so common among everybody's messages that only the newest were looked at. */
  partial: boolean;
  next: FoundPlace | null;
}

export type Patched = Timed &
  (
    | { outcome: 'patched'; session: ChatSession }
    | { outcome: 'not_found' }
    | { outcome: 'too_large' }
  );

export interface History {
  /** Oldest first. */
  messages: Message[];
  /** In the whole session. */
  total: number;
  /** Where older ones begin; null: there are none. */
  older: string | null;
}

/** What an export holds: one session, or all of a user or device. */
export type ExportScope =
  | { session: string }
  | Pick<SessionScope, 'user' | 'device' | 'includeExpired'>;

/** A row of an export: a session, and after it each of its messages in order. */
export type ExportItem = { at: ExportPlace } & ({ session: ChatSession } | { message: Message });

/** The last row of a part, from which the next one goes on. */
export interface ExportPlace {
  begun: Date;
  session: string;
  seq: string;
}

/** Chat sessions as their callers see them. The same promises as `Storage` gives. */
export interface ChatSessionStorage {
  /** Begins a session, which becomes the device's current one. null: there are as many as may be. */
  createSession(
    session: NewSession,
    caps: SessionCaps,
  ): Promise<Timed & { session: ChatSession | null }>;
  readSession(id: string, reach: Reach): Promise<Timed & { session: ChatSession | null }>;
  /**
   * Merges the metadata (RFC 7396) and, with `complete`, ends the session: it takes no message any more. Its life
   * begins anew. `too_large`: the metadata would grow past so many bytes; nothing was written.
   */
  patchSession(
    id: string,
    owner: DeviceId | null,
    patch: { metadata: JsonObject; complete: boolean },
    maxMetadataBytes: number,
  ): Promise<Patched>;
  /**
   * Deletes a session with its messages, also the ones that wait; a redelivery of one is known for eight days. A
   * worker that has not committed its answer loses the turn.
   */
  deleteSession(id: string, reach: Reach): Promise<Timed & { deleted: boolean }>;

  /** The latest activity first. */
  listSessions(scope: SessionScope, after: ListPlace | null, limit: number): Promise<SessionPage>;
  /**
   * Sessions in which a message has the words, the best first: all of the words, "phrases" as they are, and none
   * with a minus before it; accents do not matter.
   *
   * @returns null where no word must occur, and the scope is everybody
   */
  searchSessions(
    words: string,
    scope: SessionScope,
    after: FoundPlace | null,
    limit: number,
  ): Promise<FoundPage | null>;

  /**
   * The last messages before a place, in the order in which they were committed: at most `limit`, and about 4 MiB.
   *
   * @param before null: the end
   */
  readHistory(
    id: string,
    reach: Reach,
    before: string | null,
    limit: number,
  ): Promise<Timed & { history: History | null }>;
  /** The next part of an export, at most `limit` rows and about a mebibyte; empty: that was all. */
  readExport(of: ExportScope, after: ExportPlace | null, limit: number): Promise<ExportItem[]>;
}
