import type {
  BegunSession,
  ChatAnswer,
  CleanUp,
  ClientOptions,
  Device,
  FailedMessages,
  Guard,
  Health,
  History,
  JsonObject,
  LinkCode,
  Linked,
  Lock,
  NewMessage,
  NoTurn,
  Receipt,
  Registration,
  RenewedTurn,
  RetriedMessages,
  Session,
  SessionQuery,
  Sessions,
  State,
  Stats,
  Turn,
  TurnAnswer,
  WebAnswer,
} from './client-types.ts';
import { type Call, type Query, request } from './client-request.ts';

export { BatonProblem } from './client-request.ts';

// A client of Baton's HTTP API for browsers and Node: fetch and nothing else. With client-request.ts and
// client-types.ts it can be copied to where a page is built. What each call does stands in /openapi.json.

/** A write that asks for something is refused by what its own first try wrote. */
const unguarded = (guard: Guard | undefined) =>
  guard?.ifVersion === undefined && guard?.ifAbsent !== true;

const named = <Body extends { message_id?: string }>(body: Body) => ({
  ...body,
  message_id: body.message_id ?? crypto.randomUUID(),
});

/** The ways to ask, with the options of a client. */
interface Asking {
  ask<Answer>(method: string, path: string, call?: Call): Promise<Answer>;
  tell(method: string, path: string, call?: Call): Promise<void>;
  fetch(path: string, query: Query): Promise<Response>;
}

const write = (body: unknown, guard?: Guard): Call => ({ body, guard, again: unguarded(guard) });

const lockCalls = ({ ask, tell }: Asking) => ({
  get: () => ask<Lock>('GET', '/api/lock'),
  set: (lock: { agent: string; session_ttl?: number }, guard?: Guard) =>
    ask<Lock>('PUT', '/api/lock', write(lock, guard)),
  clear: (guard?: Guard) => tell('DELETE', '/api/lock', write(undefined, guard)),
});

const stateCalls = ({ ask, tell }: Asking) => ({
  get: () => ask<State>('GET', '/api/state'),
  replace: (state: JsonObject, guard?: Guard) =>
    ask<State>('PUT', '/api/state', write({ state }, guard)),
  /** RFC 7396. */
  merge: (patch: JsonObject, guard?: Guard) =>
    ask<State>('PATCH', '/api/state', {
      ...write(patch, guard),
      type: 'application/merge-patch+json',
    }),
  clear: (guard?: Guard) => tell('DELETE', '/api/state', write(undefined, guard)),
});

const turnCalls = ({ ask, tell }: Asking) => ({
  /**
   * Stores a message and takes the turn; without one, takes it if something waits. Where the answer of a first try was
   * lost, the turn it took is free again when its lease is over.
   */
  take: (message?: { message_id: string; content: string; metadata?: JsonObject }) =>
    ask<Turn | NoTurn>('POST', '/api/turn', write(message ?? {})),
  /** null as the turn: it is over. Else more came in meanwhile, to be answered under the new token. */
  answer: (token: string, answer: TurnAnswer) =>
    ask<Turn | { turn: null }>('PUT', '/api/turn', write({ token, ...answer })),
  renew: (token: string) => ask<RenewedTurn>('PATCH', '/api/turn', write({ token })),
  giveBack: (token: string) => tell('DELETE', '/api/turn', { body: { token } }),
  /** Messages that were set aside; needs an API key, as retrying them does. */
  failed: (query?: { limit?: number; cursor?: string }) =>
    ask<FailedMessages>('GET', '/api/turn', { query: { failed: true, ...query } }),
  retryFailed: () =>
    ask<RetriedMessages>('POST', '/api/turn', { query: { failed: true }, again: true }),
});

const item = (id: string, rest = '') => `/api/chat/sessions/${encodeURIComponent(id)}${rest}`;

const sessionCalls = ({ ask, fetch: get }: Asking) => ({
  /** Not repeated: a second try would begin a second one. */
  begin: (body?: { user_id?: string; metadata?: JsonObject; session_ttl?: number }) =>
    ask<BegunSession>('POST', '/api/chat/sessions', { body }),
  list: (query?: SessionQuery) =>
    ask<Sessions>('GET', '/api/chat/sessions', { query: { ...query } }),
  get: (id: string, query?: { include_expired?: boolean }) =>
    ask<Session>('GET', item(id), { query }),
  change: (id: string, change: { metadata?: JsonObject; complete?: true }) =>
    ask<Session>('PATCH', item(id), write(change)),
  delete: (id: string, query?: { include_expired?: boolean }) =>
    ask<{ message: string }>('DELETE', item(id), { query }),
  send: (id: string, message: NewMessage) =>
    ask<ChatAnswer>('POST', item(id, '/messages'), write(named(message))),
  history: (
    id: string,
    query?: { max_messages?: number; before?: string; include_expired?: boolean },
  ) => ask<History>('GET', item(id, '/history'), { query }),
  /** The whole session as text. */
  download: (id: string, format: 'jsonl' | 'csv' | 'md') => get(item(id, '/history'), { format }),
});

const otherCalls = ({ ask, tell, fetch: get }: Asking) => ({
  device: {
    /** Registers one, or renews the token that is sent; not repeated, as a second try would find the first. */
    register: (body?: { user_token?: string }) =>
      ask<Registration>('POST', '/api/device', { body }),
    get: () => ask<Device>('GET', '/api/device'),
    erase: () => tell('DELETE', '/api/device', { again: true }),
    /** A code by which another device joins this one's conversation. */
    offerLink: () => ask<LinkCode>('POST', '/api/device/link', { again: true }),
    /** Joins the conversation of the device that gave the code. */
    link: (code: string) => ask<Linked>('POST', '/api/device/link', write({ code })),
    unlink: () => tell('DELETE', '/api/device/link', { again: true }),
  },
  /** Needs an API key. */
  eraseUser: (id: string) =>
    ask<Receipt>('DELETE', `/api/chat/users/${encodeURIComponent(id)}`, { again: true }),
  /** A message of a web page or an app, and its replies. */
  say: (message: NewMessage) => ask<WebAnswer>('POST', '/api/webhooks/web', write(named(message))),
  /** Needs CRON_SECRET as token. */
  cleanUp: () => ask<CleanUp>('GET', '/api/cron/cleanup'),
  /** Figures since a time, or of the last week; needs an API key, as the next one does. */
  stats: (query?: { since?: string }) => ask<Stats>('GET', '/api/chat/stats', { query }),
  /** For Prometheus. */
  metrics: async () => (await get('/api/metrics', {})).text(),
  health: () => ask<Health>('GET', '/api/health', { accepts: 503 }),
});

/** What Baton is asked, grouped as in its paths. Every call may throw a `BatonProblem`. */
export interface Client extends ReturnType<typeof otherCalls> {
  lock: ReturnType<typeof lockCalls>;
  state: ReturnType<typeof stateCalls>;
  turn: ReturnType<typeof turnCalls>;
  sessions: ReturnType<typeof sessionCalls>;
  /** The same client with other options, such as `{ token, device }` of a registration, or a `signal`. */
  with(changes: ClientOptions): Client;
}

export function createClient(options: ClientOptions = {}): Client {
  const asking: Asking = {
    ask: <Answer>(method: string, path: string, call: Call = {}) =>
      request(options, method, path, call, (response) => response.json() as Promise<Answer>),
    tell: (method, path, call = {}) => request(options, method, path, call, async () => {}),
    fetch: (path, query) =>
      request(options, 'GET', path, { query }, (response) => Promise.resolve(response)),
  };
  return {
    ...otherCalls(asking),
    lock: lockCalls(asking),
    state: stateCalls(asking),
    turn: turnCalls(asking),
    sessions: sessionCalls(asking),
    with: (changes) => createClient({ ...options, ...changes }),
  };
}
