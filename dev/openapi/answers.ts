import { z } from 'zod';
import { document } from '../../lib/http/fields.ts';

// What the operations answer. Strict: a test parses every answer with these, and a field that nobody wrote down is a
// failure there. Callers must expect new fields, so the document says nothing of others.

/** RFC 3339, UTC, milliseconds. */
export const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
export const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const version = z.string().regex(/^[1-9]\d*$/);
const count = z.int().min(0);
/** Opaque; handed back to read on. */
const cursor = z.string().nullable();

const held = {
  active_agent: z.string(),
  locked_at: time,
  expires_at: time,
  session_ttl: z.int().min(1),
  version,
};

const Lock = z.union([
  z.strictObject({ device_id: uuid, ...held }),
  z.strictObject({ device_id: uuid, active_agent: z.null() }),
]);

const State = z.union([
  z.strictObject({ device_id: uuid, state: document, version, updated_at: time }),
  z.strictObject({ device_id: uuid, state: document }),
]);

const Message = z.strictObject({
  id: z.string(),
  message_id: z.string().nullable(),
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  agent: z.string().nullable(),
  metadata: document,
  created_at: time,
});

const Lease = z.strictObject({ token: z.string(), expires_at: time });

const Turn = z.strictObject({
  turn: Lease,
  active_agent: z.string().nullable(),
  state: document,
  version: version.optional(),
  session_id: uuid,
  messages: z.array(Message),
  history: z.array(Message),
});

const NoTurn = z.strictObject({ turn: z.null() });
const Queued = z.strictObject({ turn: z.null(), queued: z.literal(true) });
const HeldByPerson = z.strictObject({ turn: z.null(), active_agent: z.literal('human') });
const Duplicate = z.strictObject({ turn: z.null(), duplicate: z.literal(true) });

const FailedMessage = z.strictObject({
  ...Message.shape,
  device_id: uuid,
  session_id: uuid,
  channel: z.string(),
  lane: z.enum(['builtin', 'external']),
  attempts: count,
  error: z.string().nullable(),
});

const session = {
  session_id: uuid,
  device_id: uuid,
  user_id: z.string().nullable(),
  channel: z.string(),
  complete: z.boolean(),
  message_count: count,
  created_at: time,
  last_activity: time,
  expires_at: time,
};

const Session = z.strictObject({ ...session, metadata: document });
/** Metadata of more than 4 kB is null, and read with the session. */
const ListedSession = z.strictObject({ ...session, metadata: z.nullable(document) });
const FoundSession = z.strictObject({
  ...ListedSession.shape,
  matches: z.array(z.strictObject({ message_id: z.string(), snippet: z.string() })),
});

/** Seconds; null: there is nothing. */
const spread = { count, median_seconds: z.number().nullable(), p95_seconds: z.number().nullable() };

const Reply = z.strictObject({
  content: z.string(),
  agent: z.string().nullable(),
  metadata: document,
  in_reply_to: z.array(z.string()),
});

/** By the names they have in the document. */
export const answers = {
  Problem: z.strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    errors: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
  }),
  Lock,
  State,
  Message,
  Turn,
  NoTurn,
  Queued,
  HeldByPerson,
  Duplicate,
  RenewedTurn: z.strictObject({ turn: Lease, expires_at: time }),
  FailedMessages: z.strictObject({ messages: z.array(FailedMessage), next_cursor: cursor }),
  RetriedMessages: z.strictObject({ retried: count, more: z.boolean() }),
  BegunSession: z.strictObject({
    session_id: uuid,
    device_id: uuid,
    user_id: z.string().nullable(),
    created_at: time,
    expires_at: time,
  }),
  Session,
  ListedSession,
  Sessions: z.strictObject({
    sessions: z.array(ListedSession),
    total: count,
    next_cursor: cursor,
  }),
  FoundSessions: z.strictObject({
    sessions: z.array(FoundSession),
    total: count,
    next_cursor: cursor,
  }),
  DeletedSession: z.strictObject({ message: z.string() }),
  ChatAnswer: z.strictObject({
    session_id: uuid,
    message_id: z.string(),
    user_message: z.string(),
    assistant_response: z.string(),
    agent: z.string().nullable(),
    sources: z.array(z.unknown()),
    processing_time_ms: count,
  }),
  QueuedMessage: z.strictObject({ message_id: z.string(), queued: z.literal(true) }),
  History: z.strictObject({
    session_id: uuid,
    messages: z.array(
      z.strictObject({
        id: z.string(),
        role: z.enum(['user', 'assistant']),
        content: z.string(),
        timestamp: time,
        metadata: document,
      }),
    ),
    total_messages: count,
    next_cursor: cursor,
  }),
  Registration: z.strictObject({
    device_id: uuid,
    user_id: z.string().optional(),
    token: z.string(),
    expires_at: time,
  }),
  Device: z.strictObject({
    device_id: uuid,
    created_at: time,
    updated_at: time,
    lock: z.strictObject(held).nullable(),
    state: z.strictObject({ version, bytes: count, updated_at: time }).nullable(),
    messages: z.strictObject({
      user: count,
      assistant: count,
      waiting: count,
      failed: count,
    }),
    total_sessions: count,
    sessions: z.array(ListedSession),
    lock_events: z.array(
      z.strictObject({
        agent: z.string(),
        from: time,
        to: time,
        reason: z.enum(['expired', 'cleared', 'handed_over']),
      }),
    ),
  }),
  LinkCode: z.strictObject({
    device_id: uuid,
    code: z.string().regex(/^\d{6}$/),
    expires_at: time,
  }),
  Linked: z.strictObject({ device_id: uuid, linked: z.literal(true) }),
  Receipt: z.strictObject({
    erased_at: time,
    devices: count,
    shared_devices: count,
    sessions: count,
    messages: count,
    lock_events: count,
    identities: count,
  }),
  WebAnswer: z.strictObject({
    session_id: uuid.nullable(),
    message_id: z.string(),
    replies: z.array(Reply),
    active_agent: z.string().nullable(),
    persisted: z.boolean(),
  }),
  Received: z.strictObject({ received: count }),
  CleanUp: z.strictObject({
    expired_locks: count,
    expired_sessions: count,
    purged_messages: count,
    recovered_turns: count,
    resent_replies: count,
    duration_ms: z.number().min(0),
    more: z.boolean(),
  }),
  Stats: z.strictObject({
    since: time,
    until: time,
    active_locks: z.array(z.strictObject({ agent: z.string(), ...spread })),
    holdings: z.array(z.strictObject({ agent: z.string(), ...spread })),
    hand_overs: z.array(z.strictObject({ from: z.string(), to: z.string(), count })),
    sessions: z.strictObject({
      created: count,
      active: count,
      complete: count,
      expired: count,
      average_bytes: count,
      largest_bytes: count,
      over_1mb: count,
    }),
    messages: z.strictObject({
      waiting: count,
      failed: count,
      per_day: z.array(z.strictObject({ day: z.iso.date(), user: count, assistant: count })),
    }),
    answers: z.strictObject(spread),
    errors: z.array(
      z.strictObject({ role: z.enum(['user', 'assistant']), error: z.string(), count }),
    ),
    turns: z.record(z.string(), count),
    clean_up: z.strictObject({
      last_run: time.nullable(),
      runs: count,
      removed: z.record(z.string(), count),
    }),
  }),
  Health: z.strictObject({
    status: z.enum(['ok', 'degraded', 'down']),
    checks: z.strictObject({
      database: z.strictObject({ ok: z.boolean(), latency_ms: z.number() }),
      cache: z.strictObject({
        ok: z.boolean(),
        configured: z.boolean(),
        latency_ms: z.number().optional(),
      }),
    }),
  }),
};

export type AnswerName = keyof typeof answers;
