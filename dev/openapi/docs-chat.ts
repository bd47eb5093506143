import {
  beginBody,
  beginQuery,
  changeBody,
  historyQuery,
  itemQuery,
  listQuery,
  messageBody,
} from '../../lib/http/chat-fields.ts';
import type { Doc } from './doc.ts';

const downloads = [
  'application/x-ndjson; charset=utf-8',
  'text/csv; charset=utf-8',
  'text/markdown; charset=utf-8',
] as const;

/** Chat sessions. To a device token, sessions of other devices do not exist. */
export const chatDocs = {
  'GET /api/chat/sessions': {
    id: 'listSessions',
    summary:
      'Chat sessions, the latest activity first; with q, those whose messages have the words',
    more:
      'A device token lists its own device, and of it the user it carries. With format, a download of everything said ' +
      'in the sessions of user_id or device_id. Where everything is kept in Redis, words are not found (501), nor ' +
      'everybody listed.',
    query: listQuery,
    answers: {
      200: {
        says: 'A page of them, or a download',
        json: ['Sessions', 'FoundSessions'],
        text: downloads,
      },
    },
    refusals: ['forbidden', 'not_supported'],
  },
  'POST /api/chat/sessions': {
    id: 'beginSession',
    summary: 'Begin a chat session, which becomes the current one of its device',
    more: 'Without X-Device-ID it gets a device of its own, or the one of the device token.',
    device: 'optional',
    query: beginQuery,
    body: { schema: beginBody, optional: true },
    answers: { 201: { says: 'The session', json: ['BegunSession'] } },
    refusals: ['forbidden', 'unstorable_text', 'metadata_too_large', 'rate_limited'],
  },
  'GET /api/chat/sessions/{id}': {
    id: 'getSession',
    summary: 'A chat session',
    query: itemQuery,
    answers: { 200: { says: 'The session', json: ['Session'] } },
    refusals: ['session_not_found'],
  },
  'PATCH /api/chat/sessions/{id}': {
    id: 'changeSession',
    summary: 'Merge its metadata (RFC 7396), or complete it',
    body: { schema: changeBody },
    answers: { 200: { says: 'The session as it is now', json: ['Session'] } },
    refusals: ['session_not_found', 'unstorable_text', 'metadata_too_large'],
  },
  'DELETE /api/chat/sessions/{id}': {
    id: 'deleteSession',
    summary: 'Delete it with its messages',
    query: itemQuery,
    answers: { 200: { says: 'Deleted', json: ['DeletedSession'] } },
    refusals: ['session_not_found'],
  },
  'POST /api/chat/sessions/{id}/messages': {
    id: 'sendMessage',
    summary: 'Say something in it, and get the answer',
    more: 'The same message_id again gives the first answer and runs nothing.',
    body: { schema: messageBody },
    answers: {
      200: { says: 'The answer', json: ['ChatAnswer'] },
      202: {
        says: 'Somebody else holds the turn for longer than this call waits: ask again with the same message_id',
        json: ['QueuedMessage'],
        headers: { 'Retry-After': 'Seconds' },
      },
    },
    refusals: [
      'session_not_found',
      'session_complete',
      'unstorable_text',
      'message_too_large',
      'metadata_too_large',
      'rate_limited',
      'agent_failed',
    ],
  },
  'GET /api/chat/sessions/{id}/history': {
    id: 'getHistory',
    summary: 'What was said in it, oldest first; with format, all of it as a download',
    query: historyQuery,
    answers: {
      200: { says: 'The last messages, or a download', json: ['History'], text: downloads },
    },
    refusals: ['session_not_found'],
  },
  'DELETE /api/chat/users/{user_id}': {
    id: 'eraseUser',
    summary: 'Erase a user',
    more:
      'Every device on which the user has chat sessions is erased as by eraseDevice; where others have sessions on the ' +
      'same device (shared_devices), the user’s own sessions alone. May be repeated.',
    answers: { 200: { says: 'What was erased', json: ['Receipt'] } },
    refusals: ['invalid_request'],
  },
} as const satisfies Record<string, Doc>;
