import { neonConfig } from '@neondatabase/serverless';
import pg from 'pg';
import { afterAll, expect, inject } from 'vitest';
import { type App, createApp, useApp } from '../../lib/app.ts';
import { readConfig } from '../../lib/config.ts';
import { parseJson } from '../../lib/json.ts';
import { type LogEvent, setSink } from '../../lib/log.ts';
import { sendOver, serve } from './deployed.ts';
import { assertDocumented } from './documented.ts';
import { callHandler } from './handlers.ts';
import { watchForLeaks } from './leaks.ts';
import { createDatabase } from './postgres.ts';
import { type NeonBridge, startNeonBridge } from './neon-bridge.ts';
import { type Proxy, startProxy } from './proxy.ts';
import { serveAgents } from './remote-agents.ts';

/** What a time looks like on the wire: RFC 3339, UTC, milliseconds. */
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const DIGITS = /^\d+$/;

export interface CallOptions {
  device?: string;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  raw?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  /** What of it may not be logged, where that is not the body: one made at random has codes where texts belong. */
  watched?: Uint8Array;
  /** Content-Type; null sends none. */
  type?: string | null;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The parsed body, if its type says JSON. */
  json: unknown;
}

export interface Api {
  app: App;
  /** The wire between the app and its database, to be cut or hung. */
  wire: Proxy;
  /** What was logged since the start. */
  events: LogEvent[];
  /** Calls a route, as the platform does. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Runs a statement on the same database, past the app and the wire. */
  sql(text: string, params?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** Rows and content of every table, to be compared. */
  stored(): Promise<Record<string, string>>;
  /** Waits for the work that goes on after the answers. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Whether the requests go over HTTP to what a deployment was built into, in another process: the project `deployed`
 * of vitest.config.ts runs every test of this kind once more in that way.
 */
export const deployed = process.env['TEST_DEPLOYED'] === 'true';

// One watch for all apps of a file: what goes on after an answer may be logged while another app has its turn.
const leaks = watchForLeaks();
// of a leak in a thousand lines the first few tell enough
afterAll(() => expect(leaks.find().slice(0, 5)).toEqual([]));

let bridge: NeonBridge | null = null;
const work = new Set<Promise<unknown>>();
// Where `waitUntil` of @vercel/functions looks for the platform, by this name.
Object.assign(globalThis, {
  [Symbol.for('@vercel/request-context')]: {
    get: () => ({
      waitUntil(promise: Promise<unknown>) {
        work.add(promise);
        promise.catch(() => {}).finally(() => work.delete(promise));
      },
    }),
  },
});

/** What a test puts in the place of the deployed parts. */
export type Parts = NonNullable<Parameters<typeof createApp>[1]> & {
  /** Whether requests sweep up after others, as they do where Baton is deployed. */
  sweeps?: boolean;
};

/**
 * The deployed functions over a database of their own; several may live side by side, each call goes to its own.
 *
 * @param env settings beside DATABASE_URL
 */
export async function startApi(
  env: Record<string, string> = {},
  { sweeps = false, ...parts }: Parts = {},
): Promise<Api> {
  const database = await createDatabase();
  const wire = await startProxy(database.url);
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => {}); // dropping the database ends its idle connections

  // the project `neon` runs every test of this kind once more, over HTTP
  const driver = process.env['TEST_DRIVER'] ?? 'pg';
  if (driver === 'neon-http') {
    bridge ??= await startNeonBridge(); // one for all: the endpoint is a setting of the whole process
    neonConfig.fetchEndpoint = bridge.endpoint;
  }
  const settings = { DATABASE_DRIVER: driver, ...env, DATABASE_URL: wire.url };
  const events: LogEvent[] = [];
  listen(events);
  const result = readConfig(settings);
  if (!result.ok) throw new Error(result.mistakes.join(' '));
  const app = await createApp(result.config, {
    ...(!sweeps && { sweep: () => Promise.resolve(), writeCounts: () => Promise.resolve() }),
    ...parts,
  });
  if (deployed) events.length = 0;
  const served = deployed
    ? await serveDeployment(settings, events, { sweeps, ...parts })
    : callHandlers(app, events);

  leaks.settings(settings);
  const sql: Api['sql'] = async (text, params = []) => (await pool.query(text, [...params])).rows;
  return {
    app,
    wire,
    events,
    sql,
    async call(method, path, options = {}) {
      const request = toRequest(method, path, options);
      noteRequest(request, options);
      const answer = await toAnswer(await served.send(request));
      // a refusal is our own words
      if (answer.status < 400) leaks.body(answer.text);
      assertDocumented(method, path, answer);
      return answer;
    },
    async stored() {
      const tables = await sql(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`);
      const parts = tables.map(
        ({ tablename }) => `SELECT '${tablename}' AS name, count(*) || ' rows ' ||
          coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text)), '') AS content FROM ${tablename} t`,
      );
      const rows = await sql(parts.join(' UNION ALL '));
      return Object.fromEntries(rows.map(({ name, content }) => [String(name), String(content)]));
    },
    settled: () => served.settled(),
    async close() {
      await served.close();
      const replies = await sql(`SELECT content FROM chat_messages WHERE answers IS NOT NULL`);
      for (const { content } of replies) leaks.text(String(content));
      await wire.close();
      await app.close();
      await pool.end();
      await database.drop();
    },
  };
}

/** From now on what is logged goes there. */
function listen(events: LogEvent[]): void {
  setSink((event) => {
    events.push(event);
    leaks.logged(event);
  });
}

/** What answers the requests of a test. */
interface Served {
  send(request: Request): Promise<Response>;
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** The handlers themselves, in this process. */
function callHandlers(app: App, events: LogEvent[]): Served {
  return {
    send(request) {
      listen(events);
      useApp(app);
      return callHandler(request);
    },
    async settled() {
      while (work.size > 0) await Promise.allSettled(work);
    },
    close() {
      useApp(null);
      return Promise.resolve();
    },
  };
}

/** What a deployment was built into, in a process of its own. Of the parts it takes agents, which it asks here. */
async function serveDeployment(
  settings: Record<string, string>,
  events: LogEvent[],
  { sweeps, registry, ...others }: Parts,
): Promise<Served> {
  if (Object.keys(others).length > 0) throw new Error('no such part can be put into a deployment');
  const agents = registry === undefined ? null : await serveAgents(registry);
  const { checkout, output } = inject('deployment');
  const deployment = await serve(checkout, output, {
    ...settings,
    ...(agents !== null && { TEST_AGENTS: agents.address }),
    ...(bridge !== null && { TEST_NEON: bridge.endpoint }),
    TEST_SWEEPS: String(sweeps),
  });
  const told = async (): Promise<void> => {
    await deployment.flushed();
    for (const event of deployment.events.splice(0)) {
      events.push(event);
      leaks.logged(event);
    }
  };
  return {
    async send(request) {
      const response = await sendOver(deployment.url, request);
      await told();
      return response;
    },
    async settled() {
      await deployment.settled();
      await told();
    },
    async close() {
      await told();
      await deployment.kill();
      agents?.close();
    },
  };
}

/** Calls a handler with the app that is in place. */
export async function send(
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  return toAnswer(await callHandler(toRequest(method, path, options)));
}

function toRequest(
  method: string,
  path: string,
  { device, body, raw, type = 'application/json', headers = {} }: CallOptions,
): Request {
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  return new Request(`https://baton.example${path}`, {
    method,
    headers: {
      ...(device !== undefined && { 'x-device-id': device }),
      ...(content !== undefined && type !== null && { 'content-type': type }),
      ...headers,
    },
    // bytes: with a string, Request would think of a Content-Type itself
    ...(content !== undefined && {
      body: typeof content === 'string' ? new TextEncoder().encode(content) : content,
      duplex: 'half' as const,
    }),
  });
}

/** What may not be logged of a request. A stream is read by nobody but the function. */
function noteRequest({ url, headers }: Request, { raw, body, watched }: CallOptions): void {
  leaks.url(url);
  leaks.headers(headers);
  const content = watched ?? raw ?? JSON.stringify(body ?? null);
  if (!(content instanceof ReadableStream)) leaks.body(content);
}

async function toAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = /^application\/(problem\+)?json\b/.test(
    response.headers.get('content-type') ?? '',
  );
  const json: unknown = isJson && text !== '' ? parseJson(text) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}
