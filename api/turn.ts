import * as z from 'zod/mini';
import { AGENT_NAME } from '../lib/agents/agent.ts';
import {
  type Asked,
  answerTurn,
  poll,
  renewTurn,
  returnTurn,
  submit,
} from '../lib/external-turn.ts';
import { BODY_LIMIT, check, parseObject, readBytes, requireType } from '../lib/http/body.ts';
import { document, messageId, sessionTtl, token } from '../lib/http/fields.ts';
import { json, route } from '../lib/http/route.ts';
import type { JsonObject } from '../lib/json.ts';
import type { Fence, Message, Turn } from '../lib/storage/storage.ts';

const submitted = z
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

const answered = z
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
    agent: z.optional(z.nullable(z.string().check(z.regex(AGENT_NAME)))),
    session_ttl: z.optional(sessionTtl),
    complete: z.optional(z.boolean()),
  })
  .check(
    z.refine((body) => body.state === undefined || body.state_patch === undefined, {
      error: 'send state or state_patch, not both',
    }),
  );

const held = z.object({ token });

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

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route(
  { path: '/api/turn', access: 'device', sweeps: true },
  {
    async POST({ app, device, request, frame }) {
      const id = device();
      const { message_id: external, content, metadata } = check(submitted, await readBody(request));
      if (external === undefined || content === undefined)
        return toResponse(await poll(app, id, frame.requestId));
      const incoming = { messageId: external, content, metadata: metadata ?? {} };
      return toResponse(await submit(app, id, incoming, frame.requestId));
    },
    async PUT({ app, device, request }) {
      const id = device();
      const body = check(answered, await readBody(request));
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
      const body = check(held, await readBody(request));
      const expiresAt = await renewTurn(app, id, body.token as Fence);
      return json(200, {
        turn: { token: body.token, expires_at: expiresAt },
        expires_at: expiresAt,
      });
    },
    async DELETE({ app, device, request }) {
      const id = device();
      const body = check(held, await readBody(request));
      await returnTurn(app, id, body.token as Fence);
      return new Response(null, { status: 204 });
    },
  },
);
