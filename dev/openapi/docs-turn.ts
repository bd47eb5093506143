import { answerBody, failedQuery, submitBody, tokenBody } from '../../lib/http/turn-fields.ts';
import type { Doc } from './doc.ts';

/** Turns for a bot that runs elsewhere. */
export const turnDocs = {
  'POST /api/turn': {
    id: 'takeTurn',
    summary: 'Store a message and take the turn if it is free; without a message, poll',
    more:
      'message_id and content go together. A message_id that was taken before is stored once; if it still waits and ' +
      'nobody holds the turn, the turn is given.',
    device: 'required',
    body: { schema: submitBody },
    answers: {
      200: {
        says: 'The turn; or none, because nothing waits, the message was taken before, or a person has taken over',
        json: ['Turn', 'Duplicate', 'HeldByPerson', 'NoTurn'],
      },
      202: { says: 'Somebody holds the turn; the message waits', json: ['Queued'] },
    },
    refusals: ['unstorable_text', 'message_too_large', 'metadata_too_large', 'rate_limited'],
  },
  'PUT /api/turn': {
    id: 'answerTurn',
    summary: 'Answer the messages that were handed over, and release the turn',
    more:
      'Writes everything or nothing. The same call again changes nothing and answers the same. Where more came in ' +
      'meanwhile the turn goes on, under a new token.',
    device: 'required',
    body: { schema: answerBody },
    answers: { 200: { says: 'No turn any more, or the next messages', json: ['NoTurn', 'Turn'] } },
    refusals: [
      'unstorable_text',
      'turn_lost',
      'state_conflict',
      'state_too_large',
      'message_too_large',
      'metadata_too_large',
    ],
  },
  'PATCH /api/turn': {
    id: 'renewTurn',
    summary: 'Renew the lease of the turn',
    device: 'required',
    body: { schema: tokenBody },
    answers: { 200: { says: 'Until when it is held now', json: ['RenewedTurn'] } },
    refusals: ['turn_lost'],
  },
  'DELETE /api/turn': {
    id: 'giveBackTurn',
    summary: 'Give the turn back, its messages still waiting',
    device: 'required',
    body: { schema: tokenBody },
    answers: { 204: { says: 'Given back; counts as no attempt' } },
    refusals: ['turn_lost'],
  },
  'GET /api/turn?failed=true': {
    id: 'listFailed',
    summary: 'Messages that were set aside, their turns having failed too often',
    device: 'optional',
    query: failedQuery,
    answers: { 200: { says: 'A page of them, oldest first', json: ['FailedMessages'] } },
  },
  'POST /api/turn?failed=true': {
    id: 'retryFailed',
    summary: 'Let them wait again, with all their tries',
    device: 'optional',
    answers: { 200: { says: 'How many', json: ['RetriedMessages'] } },
  },
} as const satisfies Record<string, Doc>;
