import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { bodyOf } from '../support/whatsapp.ts';
import { call, clean, type Heard, isSuccess, post, say } from './client.ts';
import type { Books } from './storage.ts';
import {
  belongings,
  eventsBeside,
  oneOfEach,
  repliesBesideOne,
  rowsBeside,
  sessionsThat,
  stateIsNot,
  sumOf,
  type Surplus,
} from './surplus.ts';

export const newDevice = (): string => randomUUID();

/** A call of a route on a device of its own, and what there may be of it afterwards. */
export interface Route {
  name: string;
  /** Statements that one undisturbed call takes. */
  statements: number;
  /** Makes ready what the call is about; `url` is an instance that nothing disturbs. */
  prepare?(url: string, device: string, books: Books): Promise<string>;
  /** @param prepared what `prepare` gave */
  call(url: string, device: string, prepared: string): Promise<Heard>;
  /** How often the call was done more than once; fewer than 0: not at all. */
  surplus?: Surplus;
  /** A repetition by the caller is another wish. */
  once?: true;
  /** Statuses beside 2xx that say an earlier try of the same call did it; left out: 409 and 412. */
  alreadyDone?: readonly number[];
}

const onDevice =
  (
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Route['call'] =>
  (url, device) =>
    call(url, method, path, { device, ...(body !== undefined && { body }), headers });

const merge = { 'content-type': 'application/merge-patch+json' };

const takeTurn = async (url: string, device: string): Promise<string> => {
  const body = { message_id: device, content: 'hello' };
  const { json } = await call(url, 'POST', '/api/turn', { device, body });
  return (json['turn'] as { token: string }).token;
};

const turn =
  (method: string, more: object = {}): Route['call'] =>
  (url, device, token) =>
    call(url, method, '/api/turn', { device, body: { token, ...more } });

/** Whose sessions a device has; no id of it, or a log that names the device would seem to tell who that is. */
const userOf = (device: string): string => `user-${device}`;

/** Begins one, again where the machine was too busy; what is there beside it is of no matter. */
const beginSession = async (url: string, device: string): Promise<string> => {
  const body = { user_id: userOf(device) };
  for (;;) {
    const begun = await call(url, 'POST', '/api/chat/sessions', { device, body });
    if (isSuccess(begun)) return String(begun.json['session_id']);
  }
};

/** A message that was set aside, as its last failed turn leaves it. */
const setAside: NonNullable<Route['prepare']> = async (url, device, books) => {
  const session = await beginSession(url, device);
  await books.setAside(device, session);
  return session;
};

const onSession =
  (method: string, body?: object): Route['call'] =>
  (url, device, session) =>
    call(url, method, `/api/chat/sessions/${session}`, {
      device,
      ...(body !== undefined && { body }),
    });

const LINK = '/api/device/link';
const codeOfAnother = async (url: string): Promise<string> =>
  String((await call(url, 'POST', LINK, { device: newDevice() })).json['code']);
const joinBy: Route['call'] = (url, device, code) =>
  call(url, 'POST', LINK, { device, body: { code } });

const setLock = onDevice('PUT', '/api/lock', { agent: 'a' });
const setState = onDevice('PUT', '/api/state', { state: { a: 1 } });
const ready =
  (first: Route['call']): NonNullable<Route['prepare']> =>
  async (url, device) =>
    String((await first(url, device, '')).status);

/** Every route that writes. */
export const writing: readonly Route[] = [
  { name: 'PUT /api/lock', statements: 1, call: setLock, surplus: eventsBeside(0) },
  {
    name: 'PUT /api/lock, hand-over',
    statements: 1,
    prepare: ready(setLock),
    call: onDevice('PUT', '/api/lock', { agent: 'b' }),
    surplus: eventsBeside(1),
  },
  {
    name: 'PUT /api/lock, If-None-Match',
    statements: 1,
    call: onDevice('PUT', '/api/lock', { agent: 'a' }, { 'if-none-match': '*' }),
    surplus: eventsBeside(0),
  },
  {
    name: 'DELETE /api/lock',
    statements: 1,
    prepare: ready(setLock),
    call: onDevice('DELETE', '/api/lock'),
    surplus: eventsBeside(1),
  },
  { name: 'PUT /api/state', statements: 1, call: setState, surplus: stateIsNot({ a: 1 }) },
  {
    name: 'PATCH /api/state',
    statements: 1,
    prepare: ready(setState),
    call: onDevice('PATCH', '/api/state', { b: 2 }, merge),
    surplus: stateIsNot({ a: 1, b: 2 }),
  },
  {
    name: 'DELETE /api/state',
    statements: 1,
    prepare: ready(setState),
    call: onDevice('DELETE', '/api/state'),
    surplus: stateIsNot(null),
  },
  {
    name: 'POST /api/turn',
    statements: 1,
    call: onDevice('POST', '/api/turn', { message_id: 'm', content: 'hello' }),
    surplus: rowsBeside(1, 'user'),
  },
  {
    name: 'PUT /api/turn',
    statements: 1,
    prepare: takeTurn,
    call: turn('PUT', { replies: [{ content: 'hi' }], state_patch: { a: 1 }, agent: 'a' }),
    surplus: sumOf(rowsBeside(1, 'assistant'), eventsBeside(0), stateIsNot({ a: 1 })),
  },
  { name: 'PATCH /api/turn', statements: 1, prepare: takeTurn, call: turn('PATCH') },
  {
    name: 'DELETE /api/turn',
    statements: 1,
    prepare: takeTurn,
    call: turn('DELETE'),
    surplus: async (books, device) =>
      (await books.messages({ devices: [device] })).reduce(
        (sum, { attempts }) => sum + attempts,
        0,
      ),
  },
  {
    name: 'POST /api/turn?failed=true',
    statements: 1,
    prepare: setAside,
    call: onDevice('POST', '/api/turn?failed=true'),
    surplus: oneOfEach,
  },
  {
    name: 'POST /api/webhooks/web',
    statements: 2,
    call: (url, device) => say(url, device, 'm', 'hello'),
    surplus: oneOfEach,
  },
  {
    name: 'POST /api/webhooks/whatsapp',
    statements: 3,
    // the person's number is made of the device, whose own messages there are none of
    call: (url, device) => {
      const from = `1${String(parseInt(device.slice(0, 8), 16)).padStart(10, '0')}`;
      return post(url, bodyOf([{ id: `wamid.${device}`, from, body: 'hello' }]));
    },
    surplus: async (books, device) => {
      const asked = await books.messages({ messageIds: [`wamid.${device}`] });
      const answered = await Promise.all(
        asked.map((message) => repliesBesideOne(books, message.device, '')),
      );
      return Math.abs(asked.length - 1) + answered.reduce((sum, n) => sum + n, 0);
    },
  },
  {
    name: 'POST /api/chat/sessions',
    statements: 1,
    call: onDevice('POST', '/api/chat/sessions'),
    surplus: belongings(({ sessions }) => sessions.length - 1),
    once: true,
  },
  {
    name: 'POST /api/chat/sessions/{id}/messages',
    statements: 2,
    prepare: beginSession,
    call: (url, device, session) =>
      call(url, 'POST', `/api/chat/sessions/${session}/messages`, {
        device,
        body: { message: 'hello', message_id: 'm' },
      }),
    surplus: oneOfEach,
  },
  {
    name: 'PATCH /api/chat/sessions/{id}, metadata',
    statements: 1,
    prepare: beginSession,
    call: onSession('PATCH', { metadata: { a: 1 } }),
    surplus: sessionsThat(({ metadata }) => !isDeepStrictEqual(metadata, { a: 1 })),
  },
  {
    name: 'PATCH /api/chat/sessions/{id}, complete',
    statements: 1,
    prepare: beginSession,
    call: onSession('PATCH', { complete: true }),
    surplus: sessionsThat(({ complete }) => !complete),
  },
  {
    name: 'DELETE /api/chat/sessions/{id}',
    statements: 1,
    prepare: beginSession,
    call: onSession('DELETE'),
    surplus: sessionsThat(() => true),
    alreadyDone: [404],
  },
  {
    name: 'POST /api/device',
    statements: 1,
    call: onDevice('POST', '/api/device'),
    surplus: async (books, device) => (await books.devices({ devices: [device] })).length - 1,
  },
  {
    name: 'DELETE /api/device',
    statements: 1,
    prepare: async (url, device) => String((await say(url, device, 'm', 'hello')).status),
    call: onDevice('DELETE', '/api/device'),
    surplus: sumOf(stateIsNot(null), async (books, device) => {
      const messages = await books.messages({ devices: [device] });
      return messages.filter(({ content }) => content !== '').length;
    }),
  },
  {
    name: 'DELETE /api/chat/users/{user_id}',
    statements: 1,
    prepare: beginSession,
    call: (url, device) => call(url, 'DELETE', `/api/chat/users/${userOf(device)}`),
    surplus: sessionsThat(() => true),
  },
  {
    name: 'POST /api/device/link',
    statements: 1,
    call: onDevice('POST', LINK),
    surplus: belongings(({ linkCodes }) => linkCodes - 1),
  },
  {
    name: 'POST /api/device/link, with a code',
    statements: 1,
    prepare: codeOfAnother,
    call: joinBy,
    surplus: belongings(({ isLinked }) => Number(!isLinked)),
  },
  {
    name: 'DELETE /api/device/link',
    statements: 1,
    prepare: async (url, device) =>
      String((await joinBy(url, device, await codeOfAnother(url))).status),
    call: onDevice('DELETE', LINK),
    surplus: belongings(({ isLinked }) => Number(isLinked)),
  },
  { name: 'GET /api/cron/cleanup', statements: 1, call: clean },
];

const readSession =
  (below = ''): Route['call'] =>
  (url, device) =>
    call(url, 'GET', `/api/chat/sessions/${newDevice()}${below}`, { device });

/** Every route that reads. */
export const reading: readonly Route[] = [
  { name: 'GET /api/lock', statements: 1, call: onDevice('GET', '/api/lock') },
  { name: 'GET /api/state', statements: 1, call: onDevice('GET', '/api/state') },
  {
    name: 'GET /api/turn?failed=true',
    statements: 1,
    call: onDevice('GET', '/api/turn?failed=true'),
  },
  { name: 'GET /api/chat/sessions', statements: 1, call: onDevice('GET', '/api/chat/sessions') },
  { name: 'GET /api/chat/sessions/{id}', statements: 1, call: readSession() },
  { name: 'GET /api/chat/sessions/{id}/history', statements: 1, call: readSession('/history') },
  { name: 'GET /api/device', statements: 1, call: onDevice('GET', '/api/device') },
  { name: 'GET /api/chat/stats', statements: 1, call: onDevice('GET', '/api/chat/stats') },
  { name: 'GET /api/metrics', statements: 1, call: onDevice('GET', '/api/metrics') },
  { name: 'GET /api/health', statements: 1, call: onDevice('GET', '/api/health') },
];
