import { expect } from 'vitest';
import { z } from 'zod';
import { type Answer, type Api, UUID } from '../support/api.ts';

const answered = z.strictObject({
  session_id: z.string().regex(UUID),
  message_id: z.string(),
  replies: z.array(
    z.strictObject({
      content: z.string(),
      agent: z.string().nullable(),
      metadata: z.record(z.string(), z.unknown()),
      in_reply_to: z.array(z.string()).min(1),
    }),
  ),
  active_agent: z.string().nullable(),
  persisted: z.literal(true),
});

/** The answer of the web webhook, its shape exact. */
export function answerOf(answer: Answer): z.output<typeof answered> {
  expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('"replies"')]);
  return answered.parse(answer.json);
}

/** A page or an app that speaks for one device. */
export function visitor(api: Api, device: string) {
  return {
    device,
    send: (message: string, id?: string, metadata?: object) =>
      api.call('POST', '/api/webhooks/web', {
        device,
        body: {
          message,
          ...(id !== undefined && { message_id: id }),
          ...(metadata !== undefined && { metadata }),
        },
      }),
    /** Sends and gives the texts of the replies. */
    async say(message: string): Promise<string[]> {
      const { replies } = answerOf(await this.send(message));
      return replies.map(({ content }) => content);
    },
    lock: async () => (await api.call('GET', '/api/lock', { device })).json,
    rows: () =>
      api.sql(
        `SELECT seq::int, role, content, status, agent, metadata, external_id FROM chat_messages
         WHERE device_id = $1 ORDER BY seq NULLS LAST, id`,
        [device],
      ),
    letLeaseLapse: () =>
      api.sql(
        `UPDATE conversation_states SET turn_expires_at = now() - interval '1 second' WHERE device_id = $1`,
        [device],
      ),
  };
}
export type Visitor = ReturnType<typeof visitor>;
