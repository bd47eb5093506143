import * as z from 'zod/mini';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type {
  AcceptedDevice,
  AcceptedMessage,
  Answer,
  DeviceId,
  Fence,
  Lock,
  Message,
  OutgoingReply,
  Rate,
  Turn,
  Version,
} from '../storage.ts';

// What the SQL functions return as jsonb. Parsed, not believed: an old function may still run behind new code.

export const time = z.pipe(
  z.string(),
  z.transform((text) => new Date(text)),
);
export const document = z.custom<JsonObject>(isJsonObject);
const version = z.pipe(
  z.string(),
  z.transform((text) => text as Version),
);

const lock = z.pipe(
  z.object({
    agent: z.string(),
    locked_at: time,
    expires_at: time,
    session_ttl: z.number(),
    version,
  }),
  z.transform((row): Lock => ({
    agent: row.agent,
    lockedAt: row.locked_at,
    expiresAt: row.expires_at,
    sessionTtl: row.session_ttl,
    version: row.version,
  })),
);

const messageFields = {
  id: z.string(),
  message_id: z.nullable(z.string()),
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  agent: z.nullable(z.string()),
  metadata: document,
  sent_at: time,
  created_at: time,
};
const messageRow = z.object(messageFields);

function toMessage(row: z.output<typeof messageRow>): Message {
  const { id, role, content, agent, metadata } = row;
  return {
    id,
    messageId: row.message_id,
    role,
    content,
    agent,
    metadata,
    sentAt: row.sent_at,
    createdAt: row.created_at,
  };
}

const message = z.pipe(messageRow, z.transform(toMessage));
const outgoing = z.pipe(
  z.object({
    ...messageFields,
    attempts: z.number(),
    address: z.record(z.string(), z.string()),
    in_window: z.optional(z.nullable(z.boolean())),
  }),
  z.transform((row): OutgoingReply => ({
    ...toMessage(row),
    attempts: row.attempts,
    address: row.address,
    inWindow: row.in_window ?? true,
  })),
);
const answering = z.pipe(
  z.object({ ...messageFields, answers: z.nullable(z.array(z.nullable(z.string()))) }),
  z.transform((row) => ({
    ...toMessage(row),
    answers: (row.answers ?? []).filter((id) => id !== null),
  })),
);

const turn = z.pipe(
  z.object({
    device_id: z.string(),
    fence: z.string(),
    expires_at: time,
    session_id: z.string(),
    channel: z.string(),
    account: z.string(),
    address: z.record(z.string(), z.string()),
    lock: z.nullable(lock),
    state: document,
    state_version: z.nullable(version),
    messages: z.array(message),
    history: z.array(message),
    replies: z.array(outgoing),
  }),
  z.transform((row): Turn => ({
    device: row.device_id as DeviceId,
    fence: row.fence as Fence,
    expiresAt: row.expires_at,
    sessionId: row.session_id,
    channel: row.channel,
    account: row.account,
    address: row.address,
    lock: row.lock,
    state: row.state,
    stateVersion: row.state_version,
    messages: row.messages,
    history: row.history,
    replies: row.replies,
  })),
);

const accepted = z.pipe(
  z.object({
    index: z.number(),
    id: z.string(),
    message_id: z.nullable(z.string()),
    session_id: z.string(),
    status: z.string(),
    duplicate: z.boolean(),
  }),
  z.transform((row): AcceptedMessage => ({
    index: row.index,
    id: row.id,
    messageId: row.message_id ?? '',
    sessionId: row.session_id,
    status: row.status,
    duplicate: row.duplicate,
  })),
);
const refused = z.object({
  index: z.number(),
  refused: z.enum(['session_not_found', 'session_complete', 'rate_limited', 'too_fast']),
});
const rate = z.object({
  rate: z.nullable(
    z.pipe(
      z.object({ left: z.number(), reset_ms: z.number(), retry_ms: z.number() }),
      z.transform((row): Rate => ({
        left: row.left,
        resetMs: row.reset_ms,
        retryMs: row.retry_ms,
      })),
    ),
  ),
});

const committed = z.pipe(
  z.object({ id: z.string(), message_id: z.nullable(z.string()) }),
  z.transform((row) => ({ id: row.id, messageId: row.message_id })),
);
const answered = z.object({
  id: z.string(),
  session_id: z.string(),
  content: z.string(),
  status: z.string(),
  holder: z.nullable(z.string()),
});

export const parseLock = (value: unknown) => z.nullable(lock).parse(value);
export const parseTurn = (value: unknown) => z.nullable(turn).parse(value);
export function parseAccepted(
  value: unknown,
): Pick<AcceptedDevice, 'messages' | 'refused' | 'rate'> {
  const counted = z
    .array(rate)
    .parse(value ?? [])
    .at(-1)?.rate;
  const rows = z.array(z.union([accepted, refused])).parse(value ?? []);
  return {
    ...(counted != null && { rate: counted }),
    messages: rows.flatMap((row) => ('refused' in row ? [] : [row])),
    refused: rows.flatMap((row) =>
      'refused' in row ? [{ index: row.index, reason: row.refused }] : [],
    ),
  };
}
export const parseMessages = (value: unknown) => z.array(message).parse(value ?? []);
export const parseOutgoing = (value: unknown) => z.array(outgoing).parse(value ?? []);
export const parseAnswering = (value: unknown) => z.array(answering).parse(value ?? []);
export const parseCommitted = (value: unknown) => z.array(committed).parse(value ?? []);

export function parseAnswered(value: unknown): Answer['message'] {
  const row = z.nullable(answered).parse(value);
  if (row === null) return null;
  const { id, content, status, holder } = row;
  return { id, sessionId: row.session_id, content, status, holder };
}
