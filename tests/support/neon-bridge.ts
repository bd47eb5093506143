import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { z } from 'zod';
import { listenLocally } from '../../dev/listen.ts';

/**
 * Neon's SQL over HTTP in front of a real PostgreSQL, faithful where it matters: one statement per request in the
 * extended protocol (so that several in one fail here as they do there), values as raw text, SQL errors as HTTP
 * 400 with their code, a list of queries as one transaction, a query cancelled when its client goes away, a body with
 * half a surrogate pair refused.
 */
export interface NeonBridge {
  /** For `neonConfig.fetchEndpoint`. */
  endpoint: string;
  /** Requests since the last reset: each is one round trip. */
  count(): number;
  reset(): void;
  close(): Promise<void>;
}

const query = z.object({ query: z.string(), params: z.array(z.unknown()) });
const body = z.union([query, z.object({ queries: z.array(query) })]);
type Query = z.output<typeof query>;

// Neon leaves the text of a value to its driver.
const rawText = {
  getTypeParser: () => (value: unknown) => value,
} as unknown as pg.CustomTypesConfig;

export async function startNeonBridge(): Promise<NeonBridge> {
  const pools = new Map<string, pg.Pool>();
  let requests = 0;

  const poolFor = (url: string): pg.Pool => {
    const pool =
      pools.get(url) ??
      new pg.Pool({ connectionString: url, max: 60, connectionTimeoutMillis: 10_000 });
    if (!pools.has(url)) pool.on('error', () => {});
    pools.set(url, pool);
    return pool;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    requests++;
    const asked = read(await text(request));
    if (asked === null) {
      // as Neon's parser puts it; with no code, for it is no error of PostgreSQL's
      const message = 'could not parse the HTTP request body: unexpected end of hex escape';
      return reply(response, 400, { message });
    }
    const pool = poolFor(String(request.headers['neon-connection-string']));
    const arrays = request.headers['neon-array-mode'] === 'true';
    const client = await pool.connect();
    let broken = false;
    const breaks = () => {
      broken = true;
    };
    client.on('error', breaks);
    const pid = await backendOf(client);
    response.on('close', () => {
      if (!response.writableEnded) pool.query('SELECT pg_cancel_backend($1)', [pid]).catch(breaks);
    });
    try {
      if ('queries' in asked) {
        await client.query('BEGIN');
        const results = [];
        for (const one of asked.queries) results.push(await run(client, one, arrays));
        await client.query('COMMIT');
        reply(response, 200, { results });
      } else reply(response, 200, await run(client, asked, arrays));
    } catch (error) {
      if ('queries' in asked) await client.query('ROLLBACK').catch(() => {});
      if (!(error instanceof pg.DatabaseError)) throw error; // no answer, as from a compute that is gone
      const { message, code, detail, constraint, severity } = error;
      reply(response, 400, { message, code, detail, constraint, severity });
    } finally {
      client.off('error', breaks);
      client.release(broken);
    }
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  const port = await listenLocally(server);
  return {
    endpoint: `http://127.0.0.1:${port}/sql`,
    count: () => requests,
    reset: () => void (requests = 0),
    async close() {
      server.closeAllConnections();
      server.close();
      await Promise.all([...pools.values()].map((pool) => pool.end()));
    },
  };
}

/** @returns null for half a surrogate pair: JSON.parse would take it, and PostgreSQL get U+FFFD in its place */
function read(json: string): z.output<typeof body> | null {
  let whole = true;
  const asked: unknown = JSON.parse(json, (_, value: unknown) => {
    whole &&= typeof value !== 'string' || value.isWellFormed();
    return value;
  });
  return whole ? body.parse(asked) : null;
}

const backends = new WeakMap<pg.PoolClient, number>();

/** The process that serves a connection, asked once: to ask each time would double what a test's statements cost. */
async function backendOf(client: pg.PoolClient): Promise<number> {
  const known = backends.get(client);
  if (known !== undefined) return known;
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const pid = rows[0]?.pid ?? NaN;
  backends.set(client, pid);
  return pid;
}

async function run(client: pg.PoolClient, { query: sql, params }: Query, arrays: boolean) {
  const config = {
    text: sql,
    values: params,
    types: rawText,
    queryMode: 'extended',
    ...(arrays && { rowMode: 'array' as const }),
  };
  const result: pg.QueryResult = await client.query(config);
  const fields = result.fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }));
  return {
    command: result.command,
    rowCount: result.rowCount,
    rows: result.rows,
    fields,
    rowAsArray: arrays,
  };
}

function reply(response: ServerResponse, status: number, answer: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer));
}
