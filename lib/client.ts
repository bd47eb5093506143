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

// A client of Baton's HTTP API for browsers and Node: fetch and nothing else. With client-types.ts it can be copied to
// where a page is built. What each call does stands in /openapi.json.

/** A refusal: `code` to decide by, `message` to read. */
export class BatonProblem extends Error {
  override readonly name = 'BatonProblem';
  /** `unreachable` where no answer came; then the call may have been carried out all the same. */
  readonly code: string;
  /** Of HTTP; 0 where no answer came. */
  readonly status: number;
  readonly errors: readonly { path: string; message: string }[];
  /** Finds the call in Baton's log. */
  readonly requestId: string | null;

  constructor(
    code: string,
    status: number,
    detail: string,
    errors: BatonProblem['errors'] = [],
    requestId: string | null = null,
    options: ErrorOptions = {},
  ) {
    super(detail, options);
    this.code = code;
    this.status = status;
    this.errors = errors;
    this.requestId = requestId;
  }
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

interface Call {
  query?: Query | undefined;
  body?: unknown;
  type?: string;
  guard?: Guard | undefined;
  /** A status beside 2xx that answers, rather than refuses. */
  accepts?: number;
  /** Whether it may be sent again when nobody knows what became of it. */
  again?: boolean;
}

/** Longer than this nobody waits for a limit to pass, milliseconds. */
const PATIENCE = 10_000;

/** What comes again, however often it is asked. */
const LASTING = ['not_configured', 'internal_error', 'agent_failed'];

const pathWith = (path: string, query: Query = {}): string => {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return given.length === 0 ? path : `${path}?${given.join('&')}`;
};

function initOf(
  { token, device, signal, timeout = 60_000 }: ClientOptions,
  method: string,
  { body, type = 'application/json', guard = {} }: Call,
): RequestInit {
  const late = AbortSignal.timeout(timeout);
  return {
    method,
    credentials: 'omit',
    headers: {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(device !== undefined && { 'X-Device-ID': device }),
      ...(body !== undefined && { 'Content-Type': type }),
      ...(guard.ifVersion !== undefined && { 'If-Match': `"${guard.ifVersion}"` }),
      ...(guard.ifAbsent === true && { 'If-None-Match': '*' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: signal === undefined ? late : AbortSignal.any([signal, late]),
  };
}

async function toProblem(response: Response): Promise<BatonProblem> {
  const text = await response.text();
  let told: Partial<{ code: string; detail: string; errors: BatonProblem['errors'] }> = {};
  try {
    told = (JSON.parse(text) ?? {}) as typeof told;
  } catch {
    // somebody in between answered, not Baton
  }
  const { code = 'unexpected_answer', detail = `HTTP ${response.status}`, errors } = told;
  return new BatonProblem(
    code,
    response.status,
    detail,
    errors,
    response.headers.get('x-request-id'),
  );
}

const isAnswer = ({ status, headers }: Response, { accepts }: Call): boolean =>
  status === accepts && headers.get('content-type') === 'application/json';

/** Milliseconds to wait before the next try; null: another would not help. */
function pauseAfter(
  { code, status }: BatonProblem,
  retryAfter: string | null,
  tried: number,
  again: boolean,
): number | null {
  // a limit refuses before anything is done; after anything else nobody knows
  const hopeful = status === 429 || (again && (status === 0 || status >= 500));
  if (!hopeful || LASTING.includes(code)) return null;
  const pause = Number(retryAfter ?? 0) * 1_000 || 200 * 2 ** tried * (0.5 + Math.random());
  return pause > PATIENCE ? null : pause;
}

/** Asks, and asks again where that is safe. @throws {BatonProblem}; the signal's reason, once it is aborted */
async function request<Answer>(
  options: ClientOptions,
  method: string,
  path: string,
  call: Call,
  read: (response: Response) => Promise<Answer>,
): Promise<Answer> {
  const { url = '', signal, tries = 3, fetch: send = fetch } = options;
  const address = url.replace(/\/+$/, '') + pathWith(path, call.query);
  for (let tried = 1; ; tried++) {
    let problem: BatonProblem;
    let retryAfter: string | null = null;
    try {
      const response = await send(address, initOf(options, method, call));
      if (response.ok || isAnswer(response, call)) return await read(response);
      retryAfter = response.headers.get('retry-after');
      problem = await toProblem(response);
    } catch (cause) {
      signal?.throwIfAborted();
      problem = new BatonProblem('unreachable', 0, 'Baton did not answer', [], null, { cause });
    }
    const pause = pauseAfter(problem, retryAfter, tried, call.again ?? method === 'GET');
    if (pause === null || tried >= tries) throw problem;
    await new Promise((over) => setTimeout(over, pause));
    signal?.throwIfAborted();
  }
}

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
