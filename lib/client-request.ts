import type { ClientOptions, Guard } from './client-types.ts';

// How the client of client.ts asks: the request, the refusal, and when it asks again.

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

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Call {
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
export async function request<Answer>(
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
