import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { listenLocally } from '../../dev/listen.ts';
import { matchesAny, toSecret } from '../../lib/secrets.ts';
import { RedisError, type RedisReply, type RedisServer, startRedis } from './redis.ts';

/**
 * Upstash's REST protocol in front of a real redis-server: a command as a POST of its words, `/pipeline` and
 * `/multi-exec` of many, a bearer token, answers in base64 where the client asks for it. One way in for each client
 * that a test wants to slow down or cut off by itself.
 */
export interface UpstashBridge {
  redis: RedisServer;
  /** Another way to the same Redis, with faults and counts of its own. */
  enter(): Promise<UpstashEntrance>;
  close(): Promise<void>;
}

export interface UpstashEntrance {
  url: string;
  token: string;
  /** HTTP requests since the last reset: each is one round trip. */
  count(): number;
  /** Commands since the last reset, as they are billed: each of a pipeline counts. */
  commands(): number;
  /** Bytes of the bodies since the last reset, both ways. */
  bytes(): number;
  reset(): void;
  /** Milliseconds that a request takes longer, before it reaches Redis and before its answer leaves. */
  delay(of: () => number): void;
  /** Takes requests and answers none. */
  hang(): void;
  /** Breaks every connection, and each new one at once. */
  cut(): void;
  /** What hung is answered. */
  resume(): void;
  close(): Promise<void>;
}

const word = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const command = z.array(word).min(1);
const batch = z.array(command);
type Command = z.output<typeof command>;

export async function startUpstashBridge(): Promise<UpstashBridge> {
  const redis = await startRedis();
  const run = createRunner(redis);
  const entrances: UpstashEntrance[] = [];
  return {
    redis,
    async enter() {
      const entrance = await openEntrance(run);
      entrances.push(entrance);
      return entrance;
    },
    async close() {
      await Promise.all(entrances.map((entrance) => entrance.close()));
      await redis.close();
    },
  };
}

async function openEntrance(
  run: (words: Command) => Promise<RedisReply>,
): Promise<UpstashEntrance> {
  const token = 'a token of the bridge';
  let counts = { requests: 0, commands: 0, bytes: 0 };
  let latency = () => 0;
  let isCut = false;
  let gate: PromiseWithResolvers<void> | null = null;

  const pass = async (): Promise<void> => {
    await sleep(latency());
    await gate?.promise;
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    counts.requests++;
    await pass();
    const bearer = request.headers.authorization ?? '';
    const encode = request.headers['upstash-encoding'] === 'base64' ? toBase64 : asItIs;
    if (!matchesAny(bearer, [toSecret(`Bearer ${token}`)])) {
      return reply(response, 401, { error: 'WRONGPASS invalid or missing auth token' });
    }
    const asked: unknown = await json(request);
    counts.bytes += JSON.stringify(asked).length;
    counts.commands += request.url === '/' ? 1 : batch.parse(asked).length;
    const [status, answer] = await answerTo(request.url ?? '/', asked, run, encode);
    await pass();
    counts.bytes += JSON.stringify(answer).length;
    reply(response, status, answer);
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy()); // as from a host that is gone
  });
  server.on('connection', (socket) => {
    if (isCut) socket.destroy();
  });
  const port = await listenLocally(server);
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    count: () => counts.requests,
    commands: () => counts.commands,
    bytes: () => counts.bytes,
    reset: () => void (counts = { requests: 0, commands: 0, bytes: 0 }),
    delay: (of) => void (latency = of),
    hang: () => void (gate ??= Promise.withResolvers()),
    cut() {
      isCut = true;
      server.closeAllConnections();
    },
    resume() {
      isCut = false;
      gate?.resolve();
      gate = null;
    },
    async close() {
      gate?.resolve();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Encode = (reply: RedisReply | RedisError) => unknown;

/** Status and body for a request. A command that Redis refuses is 400, or an entry of its own in a batch. */
async function answerTo(
  path: string,
  asked: unknown,
  run: (words: Command) => Promise<RedisReply>,
  encode: Encode,
): Promise<[number, object]> {
  const entry = (reply: RedisReply | RedisError) =>
    reply instanceof RedisError ? { error: reply.message } : { result: encode(reply) };
  const attempt = (words: Command): Promise<RedisReply | RedisError> =>
    run(words).catch((error: unknown) => {
      if (error instanceof RedisError) return error;
      throw error;
    });
  if (path === '/') {
    const reply = await attempt(command.parse(asked));
    return [reply instanceof RedisError ? 400 : 200, entry(reply)];
  }
  const words = batch.parse(asked);
  if (path === '/pipeline') return [200, (await Promise.all(words.map(attempt))).map(entry)];
  if (path !== '/multi-exec') return [400, { error: `ERR unknown path ${path}` }];
  // sent in one go, with nobody else's in between: there is one connection, and it keeps the order
  const replies = await Promise.all([['MULTI'], ...words, ['EXEC']].map(attempt));
  const done = replies.at(-1);
  return Array.isArray(done) ? [200, done.map(entry)] : [400, entry(done ?? null)];
}

/**
 * Redis 7.0 does not know a flag of Upstash's own, which makes a script lock its keys only. Such scripts run without
 * their first line, and are found by the hash they have with it.
 */
function createRunner(redis: RedisServer): (words: Command) => Promise<RedisReply> {
  const renamed = new Map<string, string>();
  const known = (script: string): string => {
    const plain = script.replace(/^#!lua flags=allow-key-locking\b.*/, '--');
    renamed.set(sha1(script), sha1(plain));
    return plain;
  };
  return ([name = '', ...words]) => {
    const [first = '', second = '', ...rest] = words;
    switch (name.toUpperCase()) {
      case 'EVAL':
        return redis.send([name, known(first), second, ...rest]);
      case 'EVALSHA':
        return redis.send([name, renamed.get(first) ?? first, second, ...rest]);
      case 'SCRIPT':
        return first.toUpperCase() === 'LOAD'
          ? redis.send([name, first, known(second)])
          : redis.send([name, ...words]);
      default:
        return redis.send([name, ...words]);
    }
  };
}

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

const asItIs: Encode = (reply) => {
  if (Array.isArray(reply)) return reply.map(asItIs);
  if (reply instanceof RedisError) return reply.message;
  return typeof reply === 'object' && reply !== null ? reply.status : reply;
};

/** Every string but a status of `OK`, which clients look for as it is. */
const toBase64: Encode = (reply) => {
  if (Array.isArray(reply)) return reply.map(toBase64);
  const plain = asItIs(reply);
  const isOk = typeof reply === 'object' && plain === 'OK';
  return typeof plain === 'string' && !isOk ? Buffer.from(plain).toString('base64') : plain;
};

function reply(response: ServerResponse, status: number, answer: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer));
}
