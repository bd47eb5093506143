import { CHAT, say } from '../../lib/channels/chat.ts';
import { exportText, type FormatName, formats, sessionRecord } from '../../lib/export.ts';
import { assertOwn, userOf } from '../../lib/http/access.ts';
import { BODY_LIMIT, check, parseObject, readBytes, requireType } from '../../lib/http/body.ts';
import {
  beginBody,
  beginQuery,
  changeBody,
  historyQuery,
  itemQuery,
  listQuery,
  messageBody,
  parseSessionId,
  parseUserId,
  readQuery,
} from '../../lib/http/chat-fields.ts';
import { eraseUser } from '../../lib/devices.ts';
import { foundCursor, historyCursor, listCursor } from '../../lib/http/cursor.ts';
import { newDevice } from '../../lib/http/device-id.ts';
import { receiptOf } from '../../lib/http/receipt.ts';
import { type Call, json, routes } from '../../lib/http/route.ts';
import { streamed } from '../../lib/http/stream.ts';
import type { JsonObject } from '../../lib/json.ts';
import { sessionNotFound } from '../../lib/limits.ts';
import { findSessions, toHtml } from '../../lib/search.ts';
import {
  beginSession,
  changeSession,
  deleteSession,
  readHistory,
  readSession,
} from '../../lib/sessions.ts';
import type { ExportScope, Reach } from '../../lib/storage/storage.ts';

/** The one place that says how far a caller sees: a device its own sessions, and the ones that are over nobody but operators. */
const reachOf = ({ caller }: Call, includeExpired = false): Reach => ({
  owner: caller.device,
  includeExpired: includeExpired && caller.device === null,
});

/** @throws {BatonError} `session_not_found` */
function sessionOf({ params }: Call): string {
  const id = parseSessionId(params['id']);
  if (id === null) throw sessionNotFound();
  return id;
}

async function readBody(request: Request): Promise<JsonObject> {
  requireType(request, 'application/json');
  return parseObject(await readBytes(request, BODY_LIMIT));
}

async function download({ app }: Call, of: ExportScope, format: FormatName): Promise<Response> {
  const name = 'session' in of ? `chat-session-${of.session}` : 'chat-sessions';
  return streamed(exportText(app, of, format), {
    'content-type': formats[format].mediaType,
    'content-disposition': `attachment; filename="${name}.${format}"`,
    'x-content-type-options': 'nosniff',
  });
}

/** With an empty body: a user is all a script may want to name. */
async function begin({ app, request, url, device, caller }: Call): Promise<Response> {
  const query = readQuery(beginQuery, url);
  const bytes = await readBytes(request, BODY_LIMIT);
  if (bytes.byteLength > 0) requireType(request, 'application/json');
  const body = check(beginBody, bytes.byteLength > 0 ? parseObject(bytes) : {});
  const session = await beginSession(app, {
    device: request.headers.has('x-device-id') ? device() : (caller.device ?? newDevice()),
    user: userOf(caller, body.user_id ?? query.user_id ?? null),
    channel: CHAT,
    metadata: body.metadata ?? {},
    ttlSeconds: body.session_ttl ?? null,
  });
  return json(201, {
    session_id: session.id,
    device_id: session.device,
    user_id: session.user,
    created_at: session.createdAt,
    expires_at: session.expiresAt,
  });
}

async function list(call: Call): Promise<Response> {
  const { app, url } = call;
  const query = readQuery(listQuery, url);
  const { owner, includeExpired } = reachOf(call, query.include_expired);
  if (query.device_id !== undefined) assertOwn(call.caller, query.device_id);
  const user = userOf(call.caller, query.user_id ?? null);
  const whose = { user, device: query.device_id ?? owner, includeExpired };
  if (query.format !== undefined) return download(call, whose, query.format);
  const scope = { ...whose, active: query.active ?? null };
  const { q = '', cursor, limit } = query;
  if (q.trim() === '') {
    const after = cursor === undefined ? null : listCursor.read(cursor);
    const page = await app.storage.listSessions(scope, after, limit);
    return json(200, {
      sessions: page.sessions.map(sessionRecord),
      total: page.total,
      next_cursor: page.next && listCursor.write(page.next),
    });
  }
  const after = cursor === undefined ? null : foundCursor.read(cursor);
  const page = await findSessions(app, q, scope, after, limit);
  return json(200, {
    sessions: page.sessions.map((session) => ({
      ...sessionRecord(session),
      matches: session.matches.map(({ messageId, snippet }) => ({
        message_id: messageId,
        snippet: toHtml(snippet),
      })),
    })),
    total: page.total,
    ...(page.partial && { partial: true }),
    next_cursor: page.next && foundCursor.write(page.next),
  });
}

async function read(call: Call): Promise<Response> {
  const id = sessionOf(call);
  const reach = reachOf(call, readQuery(itemQuery, call.url).include_expired);
  return json(200, sessionRecord(await readSession(call.app, id, reach)));
}

async function change(call: Call): Promise<Response> {
  const id = sessionOf(call);
  const { metadata = {}, complete = false } = check(changeBody, await readBody(call.request));
  const { owner } = reachOf(call);
  const session = await changeSession(call.app, id, owner, { metadata, complete });
  return json(200, sessionRecord(session));
}

async function remove(call: Call): Promise<Response> {
  const id = sessionOf(call);
  await deleteSession(call.app, id, reachOf(call, readQuery(itemQuery, call.url).include_expired));
  return json(200, { message: `Session ${id} deleted` });
}

async function post(call: Call): Promise<Response> {
  const started = performance.now();
  const session = sessionOf(call);
  const body = check(messageBody, await readBody(call.request));
  const message = {
    session,
    owner: reachOf(call).owner,
    messageId: body.message_id ?? null,
    text: body.message,
    metadata: body.metadata ?? {},
  };
  const answer = await say(call.app, message, call.frame, call.keep);
  if (answer.kind === 'queued') {
    return json(202, { message_id: answer.messageId, queued: true }, { 'retry-after': '2' });
  }
  return json(200, {
    session_id: session,
    message_id: answer.messageId,
    user_message: answer.text,
    assistant_response: answer.response,
    agent: answer.agent,
    sources: answer.sources,
    processing_time_ms: Math.round(performance.now() - started),
  });
}

async function history(call: Call): Promise<Response> {
  const id = sessionOf(call);
  const query = readQuery(historyQuery, call.url);
  const reach = reachOf(call, query.include_expired);
  if (query.format !== undefined) {
    await readSession(call.app, id, reach);
    return download(call, { session: id }, query.format);
  }
  const before = query.before === undefined ? null : historyCursor.read(query.before);
  const page = await readHistory(call.app, id, reach, before, query.max_messages);
  return json(200, {
    session_id: id,
    messages: page.messages.map(({ id: message, role, content, sentAt, metadata }) => ({
      id: message,
      role,
      content,
      timestamp: sentAt,
      metadata,
    })),
    total_messages: page.total,
    next_cursor: page.older && historyCursor.write(page.older),
  });
}

async function eraseAll({ app, params }: Call): Promise<Response> {
  return json(200, receiptOf(await eraseUser(app, parseUserId(params['user_id']))));
}

// vercel.json sends every path below this one, and below /api/chat/users, here too.
export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = routes({
  '/api/chat/sessions': { GET: list, POST: begin },
  '/api/chat/sessions/{id}': { GET: read, PATCH: change, DELETE: remove },
  '/api/chat/sessions/{id}/messages': { POST: post },
  '/api/chat/sessions/{id}/history': { GET: history },
  '/api/chat/users/{user_id}': { DELETE: eraseAll },
});
