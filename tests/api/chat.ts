import { expect } from 'vitest';
import { z } from 'zod';
import { type Answer, type Api, DIGITS, TIME, UUID } from '../support/api.ts';

export const SESSIONS = '/api/chat/sessions';

const begun = z.strictObject({
  session_id: z.string().regex(UUID),
  device_id: z.string().regex(UUID),
  user_id: z.string().nullable(),
  created_at: z.string().regex(TIME),
  expires_at: z.string().regex(TIME),
});

const session = z.strictObject({
  session_id: z.string().regex(UUID),
  device_id: z.string().regex(UUID),
  user_id: z.string().nullable(),
  channel: z.string(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  complete: z.boolean(),
  message_count: z.int(),
  created_at: z.string().regex(TIME),
  last_activity: z.string().regex(TIME),
  expires_at: z.string().regex(TIME),
});

const listed = z.strictObject({
  sessions: z.array(
    session.extend({
      matches: z
        .array(z.strictObject({ message_id: z.string().regex(DIGITS), snippet: z.string() }))
        .optional(),
    }),
  ),
  total: z.int(),
  partial: z.literal(true).optional(),
  next_cursor: z.string().nullable(),
});

const answered = z.strictObject({
  session_id: z.string().regex(UUID),
  message_id: z.string(),
  user_message: z.string(),
  assistant_response: z.string(),
  agent: z.string().nullable(),
  sources: z.array(z.unknown()),
  processing_time_ms: z.int().nonnegative(),
});

const history = z.strictObject({
  session_id: z.string().regex(UUID),
  messages: z.array(
    z.strictObject({
      id: z.string().regex(DIGITS),
      role: z.enum(['user', 'assistant']),
      content: z.string(),
      timestamp: z.string().regex(TIME),
      metadata: z.record(z.string(), z.unknown()),
    }),
  ),
  total_messages: z.int(),
  next_cursor: z.string().nullable(),
});

const parsed =
  <Schema extends z.ZodType>(status: number, schema: Schema) =>
  (answer: Answer): z.output<Schema> => {
    expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
    return schema.parse(answer.json);
  };

/** What each call answers, its shape exact. */
export const begunBy = parsed(201, begun);
export const sessionOf = parsed(200, session);
export const listOf = parsed(200, listed);
export const answerOf = parsed(200, answered);
export const historyOf = parsed(200, history);

/** The calls of a program that keeps chat sessions. */
export function chat(api: Api) {
  return {
    begin: (query = '', body?: object, options: Parameters<Api['call']>[2] = {}) =>
      api.call('POST', SESSIONS + query, { ...(body !== undefined && { body }), ...options }),
    list: (query = '') => api.call('GET', SESSIONS + query),
    read: (id: string, query = '') => api.call('GET', `${SESSIONS}/${id}${query}`),
    change: (id: string, body: object) => api.call('PATCH', `${SESSIONS}/${id}`, { body }),
    remove: (id: string, query = '') => api.call('DELETE', `${SESSIONS}/${id}${query}`),
    say: (id: string, message: string, messageId?: string, metadata?: object) =>
      api.call('POST', `${SESSIONS}/${id}/messages`, {
        body: {
          message,
          ...(messageId !== undefined && { message_id: messageId }),
          ...(metadata !== undefined && { metadata }),
        },
      }),
    history: (id: string, query = '') => api.call('GET', `${SESSIONS}/${id}/history${query}`),
    /** A session of a user, and what was said in it. */
    async open(user: string, ...texts: string[]): Promise<string> {
      const { session_id: id } = begunBy(await this.begin(`?user_id=${user}`));
      for (const text of texts) answerOf(await this.say(id, text));
      return id;
    },
    /** Moves everything of a session so many seconds into the past. */
    async age(id: string, seconds: number): Promise<void> {
      const by = `$2::int * interval '1 s'`;
      await api.sql(
        `UPDATE chat_sessions SET created_at = created_at - ${by}, last_activity = last_activity - ${by}, expires_at = expires_at - ${by} WHERE session_id = $1`,
        [id, seconds],
      );
      await api.sql(
        `UPDATE conversation_states SET session_expires_at = session_expires_at - ${by} WHERE session_id = $1`,
        [id, seconds],
      );
    },
  };
}
export type Chat = ReturnType<typeof chat>;

/** Seconds from a session's last activity to its end. */
export const lifeOf = ({ last_activity: from, expires_at: to }: z.output<typeof session>) =>
  (Date.parse(to) - Date.parse(from)) / 1_000;
