import {
  type Asked,
  answerTurn,
  poll,
  renewTurn,
  returnTurn,
  submit,
} from '../lib/external-turn.ts';
import { listFailed, retryFailed } from '../lib/failed.ts';
import { BODY_LIMIT, check, parseObject, readBytes, requireType } from '../lib/http/body.ts';
import { json, routes } from '../lib/http/route.ts';
import { answerBody, failedQuery, submitBody, tokenBody } from '../lib/http/turn-fields.ts';
import type { JsonObject } from '../lib/json.ts';
import type { FailedMessage, Fence, Message, Turn } from '../lib/storage/storage.ts';

const readBody = async (request: Request): Promise<JsonObject> => {
  requireType(request, 'application/json');
  return parseObject(await readBytes(request, BODY_LIMIT));
};

const message = ({
  id,
  messageId: external,
  role,
  content,
  agent,
  metadata,
  createdAt,
}: Message) => ({
  id,
  message_id: external,
  role,
  content,
  agent,
  metadata,
  created_at: createdAt,
});

const granted = (turn: Turn) => ({
  turn: { token: turn.fence, expires_at: turn.expiresAt },
  active_agent: turn.lock?.agent ?? null,
  state: turn.state,
  ...(turn.stateVersion !== null && { version: turn.stateVersion }),
  session_id: turn.sessionId,
  messages: turn.messages.map(message),
  history: turn.history.map(message),
});

function toResponse(asked: Asked): Response {
  switch (asked.kind) {
    case 'turn':
      return json(200, granted(asked.turn));
    case 'queued':
      return json(202, { turn: null, queued: true });
    case 'human':
      return json(200, { turn: null, active_agent: 'human' });
    case 'duplicate':
      return json(200, { turn: null, duplicate: true });
    case 'nothing':
      return json(200, { turn: null });
  }
}

const setAside = (failed: FailedMessage) => ({
  ...message(failed),
  device_id: failed.device,
  session_id: failed.sessionId,
  channel: failed.channel,
  lane: failed.lane,
  attempts: failed.attempts,
  error: failed.error,
});

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = routes({
  '/api/turn': {
    async POST({ app, device, request, frame }) {
      const id = device();
      const {
        message_id: external,
        content,
        metadata,
      } = check(submitBody, await readBody(request));
      if (external === undefined || content === undefined)
        return toResponse(await poll(app, id, frame.requestId));
      const incoming = { messageId: external, content, metadata: metadata ?? {} };
      return toResponse(await submit(app, id, incoming, frame));
    },
    async PUT({ app, device, request }) {
      const id = device();
      const body = check(answerBody, await readBody(request));
      const turn = await answerTurn(app, id, body.token as Fence, {
        replies: body.replies.map(({ content, metadata }) => ({
          content,
          metadata: metadata ?? {},
        })),
        ...(body.state !== undefined && { state: body.state }),
        ...(body.state_patch !== undefined && { statePatch: body.state_patch }),
        ...(body.agent !== undefined && { agent: body.agent }),
        ...(body.session_ttl !== undefined && { ttlSeconds: body.session_ttl }),
        ...(body.complete !== undefined && { complete: body.complete }),
      });
      return json(200, turn === null ? { turn: null } : granted(turn));
    },
    async PATCH({ app, device, request }) {
      const id = device();
      const body = check(tokenBody, await readBody(request));
      const expiresAt = await renewTurn(app, id, body.token as Fence);
      return json(200, {
        turn: { token: body.token, expires_at: expiresAt },
        expires_at: expiresAt,
      });
    },
    async DELETE({ app, device, request }) {
      const id = device();
      const body = check(tokenBody, await readBody(request));
      await returnTurn(app, id, body.token as Fence);
      return new Response(null, { status: 204 });
    },
  },

  /** Messages that were set aside, for operators: of one device or of all. */
  '/api/turn?failed=true': {
    async GET({ app, device, request, url }) {
      const of = request.headers.has('x-device-id') ? device() : null;
      const { limit, cursor } = check(failedQuery, Object.fromEntries(url.searchParams), 'query');
      const { messages, next } = await listFailed(app, of, cursor ?? null, limit);
      return json(200, { messages: messages.map(setAside), next_cursor: next });
    },
    async POST({ app, device, request, frame }) {
      const of = request.headers.has('x-device-id') ? device() : null;
      return json(200, await retryFailed(app, of, frame));
    },
  },
});
