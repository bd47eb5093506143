// What the client of lib/client.ts takes and gives. It imports nothing, so that it can be copied with it.

export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export interface ClientOptions {
  /** Where Baton is, such as `https://baton.example`; left out, in a browser: where the page came from. */
  url?: string;
  /** An API key (never in a browser), a device token, or CRON_SECRET. */
  token?: string;
  /** The device that is spoken for, a UUID. */
  device?: string;
  /** Ends a call that is under way. */
  signal?: AbortSignal;
  /** How often something that is safe to repeat is tried, at most; 3. */
  tries?: number;
  /** Milliseconds a try may take; 60000. */
  timeout?: number;
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** What must hold for a write to happen; else it is refused with `version_conflict`. */
export interface Guard {
  /** The version that was read. */
  ifVersion?: string;
  /** There is nothing. */
  ifAbsent?: boolean;
}

export type Lock =
  | {
      device_id: string;
      active_agent: string;
      locked_at: string;
      expires_at: string;
      session_ttl: number;
      version: string;
    }
  | { device_id: string; active_agent: null };

export type State =
  | { device_id: string; state: JsonObject; version: string; updated_at: string }
  | { device_id: string; state: JsonObject };

export interface Message {
  id: string;
  message_id: string | null;
  role: 'user' | 'assistant';
  content: string;
  agent: string | null;
  metadata: JsonObject;
  created_at: string;
}

export interface Turn {
  turn: { token: string; expires_at: string };
  active_agent: string | null;
  state: JsonObject;
  version?: string | undefined;
  session_id: string;
  /** To be answered, oldest first. */
  messages: Message[];
  /** Said before, oldest first. */
  history: Message[];
}

/** No turn: nothing waits, somebody else holds it, a person does, or the message was taken before. */
export type NoTurn =
  | { turn: null }
  | { turn: null; queued: true }
  | { turn: null; active_agent: 'human' }
  | { turn: null; duplicate: true };

export type RenewedTurn = { turn: Turn['turn']; expires_at: string };

export interface TurnAnswer {
  replies?: { content: string; metadata?: JsonObject }[];
  state?: JsonObject;
  state_patch?: JsonObject;
  agent?: string | null;
  session_ttl?: number;
  complete?: boolean;
}

export interface FailedMessage extends Message {
  device_id: string;
  session_id: string;
  channel: string;
  lane: 'builtin' | 'external';
  attempts: number;
  error: string | null;
}

export interface FailedMessages {
  messages: FailedMessage[];
  next_cursor: string | null;
}

export interface RetriedMessages {
  retried: number;
  /** Others are left: call again. */
  more: boolean;
}

export interface Session {
  session_id: string;
  device_id: string;
  user_id: string | null;
  channel: string;
  metadata: JsonObject;
  complete: boolean;
  message_count: number;
  created_at: string;
  last_activity: string;
  expires_at: string;
}

/** Metadata of more than 4 kB is null here: get the session itself. */
export type ListedSession = Omit<Session, 'metadata'> & {
  metadata: JsonObject | null;
  /** Where the words that were looked for are; in HTML, the hits marked. */
  matches?: { message_id: string; snippet: string }[];
};

export interface Sessions {
  sessions: ListedSession[];
  /** On all pages. */
  total: number;
  next_cursor: string | null;
}

export type BegunSession = Pick<
  Session,
  'session_id' | 'device_id' | 'user_id' | 'created_at' | 'expires_at'
>;

export interface SessionQuery {
  user_id?: string;
  device_id?: string;
  active?: boolean;
  /** Words in messages. */
  q?: string;
  include_expired?: boolean;
  limit?: number;
  cursor?: string;
}

/** The answer, or `queued`: send the same again later, with this message_id. */
export type ChatAnswer =
  | {
      session_id: string;
      message_id: string;
      user_message: string;
      assistant_response: string;
      agent: string | null;
      sources: unknown[];
      processing_time_ms: number;
    }
  | Queued;

export type Queued = { message_id: string; queued: true };

export interface NewMessage {
  message: string;
  /** Your own id of it; left out, one is made, so that a repetition is no second message. */
  message_id?: string;
  metadata?: JsonObject;
}

export interface History {
  session_id: string;
  messages: {
    id: string;
    role: 'user' | 'assistant';
    content: string;
    timestamp: string;
    metadata: JsonObject;
  }[];
  total_messages: number;
  next_cursor: string | null;
}

export type WebAnswer =
  | {
      session_id: string | null;
      message_id: string;
      replies: {
        content: string;
        agent: string | null;
        metadata: JsonObject;
        in_reply_to: string[];
      }[];
      active_agent: string | null;
      persisted: boolean;
    }
  | Queued;

export interface Registration {
  device_id: string;
  user_id?: string | undefined;
  token: string;
  expires_at: string;
}

export interface Device {
  device_id: string;
  created_at: string;
  updated_at: string;
  lock: Omit<Extract<Lock, { version: string }>, 'device_id'> | null;
  state: { version: string; bytes: number; updated_at: string } | null;
  messages: { user: number; assistant: number; waiting: number; failed: number };
  total_sessions: number;
  sessions: Omit<ListedSession, 'matches'>[];
  lock_events: {
    agent: string;
    from: string;
    to: string;
    reason: 'expired' | 'cleared' | 'handed_over';
  }[];
}

export interface LinkCode {
  device_id: string;
  /** Six digits, to be typed where the conversation goes on. */
  code: string;
  expires_at: string;
}

export type Linked = { device_id: string; linked: true };

/** What was erased. */
export interface Receipt {
  erased_at: string;
  /** Of which nothing is left. */
  devices: number;
  /** On which others have chat sessions too: only the user's own went. */
  shared_devices: number;
  sessions: number;
  messages: number;
  lock_events: number;
  identities: number;
}

export interface CleanUp {
  expired_locks: number;
  expired_sessions: number;
  purged_messages: number;
  recovered_turns: number;
  resent_replies: number;
  duration_ms: number;
  more: boolean;
}

/** How long, in seconds, of so many. */
export interface Spread {
  count: number;
  median_seconds: number | null;
  p95_seconds: number | null;
}

export interface AgentSpread extends Spread {
  agent: string;
}

export interface Stats {
  since: string;
  until: string;
  active_locks: AgentSpread[];
  holdings: AgentSpread[];
  hand_overs: { from: string; to: string; count: number }[];
  sessions: {
    created: number;
    active: number;
    complete: number;
    expired: number;
    average_bytes: number;
    largest_bytes: number;
    over_1mb: number;
  };
  messages: {
    waiting: number;
    failed: number;
    per_day: { day: string; user: number; assistant: number }[];
  };
  answers: Spread;
  errors: { role: 'user' | 'assistant'; error: string; count: number }[];
  turns: Record<string, number>;
  clean_up: { last_run: string | null; runs: number; removed: Record<string, number> };
}

export interface Health {
  status: 'ok' | 'degraded' | 'down';
  checks: {
    database: { ok: boolean; latency_ms: number };
    cache: { ok: boolean; configured: boolean; latency_ms?: number | undefined };
  };
}
