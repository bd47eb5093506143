import { chat } from '../../lib/channels/web.ts';
import { check, parseObject, readBytes, requireType, WEBHOOK_LIMIT } from '../../lib/http/body.ts';
import { json, route } from '../../lib/http/route.ts';
import { webBody } from '../../lib/http/web-fields.ts';

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route('/api/webhooks/web', {
  async POST({ app, device, request, frame, keep }) {
    const id = device();
    requireType(request, 'application/json');
    const {
      message,
      message_id: external,
      metadata,
    } = check(webBody, parseObject(await readBytes(request, WEBHOOK_LIMIT)));
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
});
