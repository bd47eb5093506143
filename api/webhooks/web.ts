import * as z from 'zod/mini';
import { chat } from '../../lib/channels/web.ts';
import { check, parseObject, readBytes, requireType, WEBHOOK_LIMIT } from '../../lib/http/body.ts';
import { document, messageId } from '../../lib/http/fields.ts';
import { json, route } from '../../lib/http/route.ts';

const body = z.object({
  message: z.string(),
  message_id: z.optional(messageId),
  metadata: z.optional(document),
});

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route(
  { path: '/api/webhooks/web', access: 'device', sweeps: true },
  {
    async POST({ app, device, request, frame, keep }) {
      const id = device();
      requireType(request, 'application/json');
      const {
        message,
        message_id: external,
        metadata,
      } = check(body, parseObject(await readBytes(request, WEBHOOK_LIMIT)));
      const said = { messageId: external ?? null, text: message, metadata: metadata ?? {} };
      const answer = await chat(app, id, said, frame, keep);
      if (answer.kind === 'queued') {
        return json(202, { message_id: answer.messageId, queued: true }, { 'retry-after': '2' });
      }
      return json(200, {
        session_id: answer.sessionId,
        message_id: answer.messageId,
        replies: answer.replies.map(({ content, agent, metadata: data, inReplyTo }) => ({
          content,
          agent,
          metadata: data,
          in_reply_to: inReplyTo,
        })),
        active_agent: answer.activeAgent,
        persisted: answer.persisted,
      });
    },
  },
);
