import { document } from '../../lib/http/fields.ts';
import { statsQuery } from '../../lib/http/stats-fields.ts';
import { webBody } from '../../lib/http/web-fields.ts';
import type { Doc } from './doc.ts';

/** How messages come in, and what keeps the deployment going. */
export const webhookDocs = {
  'POST /api/webhooks/web': {
    id: 'say',
    summary: 'A message from a web page or an app, answered in the response',
    more: 'The same message_id again gives the first answer.',
    device: 'required',
    body: { schema: webBody },
    answers: {
      200: { says: 'The replies', json: ['WebAnswer'] },
      202: {
        says: 'Somebody else holds the turn for longer than this call waits: ask again with the same message_id',
        json: ['QueuedMessage'],
        headers: { 'Retry-After': 'Seconds' },
      },
    },
    refusals: [
      'session_not_found',
      'unstorable_text',
      'message_too_large',
      'metadata_too_large',
      'rate_limited',
      'agent_failed',
    ],
  },
  'GET /api/webhooks/whatsapp': {
    id: 'verifyWhatsApp',
    summary: "Meta's verification of the callback URL",
    more: 'Takes hub.mode, hub.verify_token and hub.challenge in the query.',
    answers: { 200: { says: 'The challenge, as it was', text: ['text/plain; charset=utf-8'] } },
    refusals: ['forbidden'],
  },
  'POST /api/webhooks/whatsapp': {
    id: 'receiveWhatsApp',
    summary: "Meta's webhook",
    more: 'Answered once everything usable is stored.',
    headers: { 'X-Hub-Signature-256': 'HMAC-SHA-256 of the raw body under WHATSAPP_APP_SECRET' },
    body: { schema: document },
    answers: { 200: { says: 'Stored', json: ['Received'] } },
    refusals: ['unauthorized'],
  },
  'GET /api/cron/cleanup': {
    id: 'cleanUp',
    summary: 'Clear what has ended, and pick up what was let fall',
    answers: { 200: { says: 'What was done; more: call again', json: ['CleanUp'] } },
  },
  'GET /api/metrics': {
    id: 'getMetrics',
    summary: 'Figures for Prometheus',
    answers: {
      200: {
        says: 'Families whose names begin with baton_',
        text: ['text/plain; version=0.0.4; charset=utf-8'],
      },
    },
    refusals: ['not_supported'],
  },
  'GET /api/chat/stats': {
    id: 'getStats',
    summary:
      'What was going on: locks, hand-overs, chat sessions, messages, times to answer, errors, the clean-up',
    more: 'Since a time or a day; left out: seven days. What was counted (turns, clean_up) is of the whole life of the deployment.',
    query: statsQuery,
    answers: { 200: { says: 'The figures', json: ['Stats'] } },
    refusals: ['not_supported'],
  },
  'GET /api/health': {
    id: 'getHealth',
    summary: 'Whether the database answers',
    answers: {
      200: { says: 'It does', json: ['Health'] },
      503: { says: 'It does not', json: ['Health'] },
    },
  },
} as const satisfies Record<string, Doc>;
