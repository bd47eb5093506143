import * as z from 'zod/mini';
import { agentName, count, document, messageId, sessionTtl, token } from './fields.ts';

// What the calls of /api/turn take.

export const submitBody = z
  .object({
    message_id: z.optional(messageId),
    content: z.optional(z.string()),
    metadata: z.optional(document),
  })
  .check(
    z.refine((body) => (body.message_id === undefined) === (body.content === undefined), {
      error: 'message_id and content go together; leave out both to poll',
    }),
  );

export const answerBody = z
  .object({
    token,
    replies: z._default(
      z
        .array(z.object({ content: z.string(), metadata: z.optional(document) }))
        .check(z.maxLength(100)),
      [],
    ),
    state: z.optional(document),
    state_patch: z.optional(document),
    agent: z.optional(z.nullable(agentName)),
    session_ttl: z.optional(sessionTtl),
    complete: z.optional(z.boolean()),
  })
  .check(
    z.refine((body) => body.state === undefined || body.state_patch === undefined, {
      error: 'send state or state_patch, not both',
    }),
  );

export const tokenBody = z.object({ token });

export const failedQuery = z.object({
  limit: z._default(count(100), 50),
  cursor: z.optional(token),
});
