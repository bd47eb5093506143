import { deviceBody, linkBody } from '../../lib/http/device-fields.ts';
import { document } from '../../lib/http/fields.ts';
import { lockBody } from '../../lib/http/lock-fields.ts';
import { stateBody } from '../../lib/http/state-fields.ts';
import type { Doc } from './doc.ts';

const etag = { ETag: 'Names the version; send it as If-Match to write only if nobody else has.' };

/** What belongs to a device: lock, state, the device itself. */
export const deviceDocs = {
  'GET /api/lock': {
    id: 'getLock',
    summary: 'Which agent holds the conversation',
    more: 'No lock, or one that has expired, is an answer and not an error: active_agent is null.',
    device: 'required',
    answers: { 200: { says: 'The lock', json: ['Lock'], headers: etag } },
  },
  'PUT /api/lock': {
    id: 'setLock',
    summary: 'Hand the conversation to an agent, or renew its holding',
    more: 'human means a person: no code answers, and a worker in the middle of its answer loses the turn.',
    device: 'required',
    guarded: true,
    body: { schema: lockBody },
    answers: { 200: { says: 'The lock as it is now', json: ['Lock'], headers: etag } },
  },
  'DELETE /api/lock': {
    id: 'clearLock',
    summary: 'End the holding',
    device: 'required',
    guarded: true,
    answers: { 204: { says: 'Nobody holds it, also when nobody did' } },
  },
  'GET /api/state': {
    id: 'getState',
    summary: "The conversation's state",
    more: 'A device never seen has {} and no version.',
    device: 'required',
    answers: { 200: { says: 'The document', json: ['State'], headers: etag } },
  },
  'PUT /api/state': {
    id: 'replaceState',
    summary: 'Replace the state',
    device: 'required',
    guarded: true,
    body: { schema: stateBody },
    answers: { 200: { says: 'The document as it is now', json: ['State'], headers: etag } },
    refusals: ['unstorable_text', 'state_too_large'],
  },
  'PATCH /api/state': {
    id: 'mergeState',
    summary: 'Merge a patch into the state (RFC 7396)',
    more: 'Patches of different keys at the same time all survive.',
    device: 'required',
    guarded: true,
    body: { schema: document, type: 'application/merge-patch+json' },
    answers: { 200: { says: 'The document as it is now', json: ['State'], headers: etag } },
    refusals: ['unstorable_text', 'state_too_large'],
  },
  'DELETE /api/state': {
    id: 'clearState',
    summary: 'Forget the state',
    device: 'required',
    guarded: true,
    answers: { 204: { says: 'There is none, also when there was none' } },
  },
  'GET /api/device': {
    id: 'getDevice',
    summary: 'What is stored about the device',
    more: 'The last hundred chat sessions and holdings; of a device token with a user, the sessions of that user.',
    device: 'required',
    answers: { 200: { says: 'All of it', json: ['Device'] } },
    refusals: ['device_not_found'],
  },
  'POST /api/device': {
    id: 'registerDevice',
    summary: 'Register a browser or an app, and get a token for it',
    more:
      'A device of your own in X-Device-ID is kept if nothing is known of it. With the token of a device as credential ' +
      'that device gets a new token. With a user_token of your identity provider the token carries the user.',
    device: 'optional',
    body: { schema: deviceBody, optional: true },
    answers: { 201: { says: 'The device and its token', json: ['Registration'] } },
    refusals: ['device_exists', 'rate_limited', 'identity_unavailable'],
  },
  'DELETE /api/device': {
    id: 'eraseDevice',
    summary: 'Erase everything of the device',
    more:
      'Lock, state, chat sessions, messages, who held it, and the numbers that lead to it. May be repeated. Whoever ' +
      'speaks for the device again begins afresh; a late redelivery of what was erased is known and brings nothing back.',
    device: 'required',
    prefers: 'return=representation: answer with a receipt',
    answers: {
      204: { says: 'It is erased, also when nothing was there' },
      200: {
        says: 'What was erased, where Prefer: return=representation asks for it',
        json: ['Receipt'],
        headers: { 'Preference-Applied': 'return=representation' },
      },
    },
  },
  'POST /api/device/link': {
    id: 'linkDevice',
    summary: 'Share one conversation with another device',
    more:
      'Without a code: gives one of six digits, good for ten minutes and one device; the one before is good no more. With ' +
      'the code of another device: this one joins its conversation. Lock, state, sessions and turns are shared from then ' +
      'on; what this device had of its own is out of sight until it is unlinked. After five wrong codes none is looked at ' +
      'for ten minutes.',
    device: 'required',
    body: { schema: linkBody, optional: true },
    answers: {
      200: { says: 'It has joined', json: ['Linked'] },
      201: { says: 'The code to redeem on the other device', json: ['LinkCode'] },
    },
    refusals: ['link_code_invalid', 'rate_limited'],
  },
  'DELETE /api/device/link': {
    id: 'unlinkDevice',
    summary: 'Part again',
    more:
      'A device that joined a conversation has its own again. One that joined none parts from every device that joined it, ' +
      'and its code is good no more.',
    device: 'required',
    answers: { 204: { says: 'It is linked to none, also when it was not' } },
  },
} as const satisfies Record<string, Doc>;
