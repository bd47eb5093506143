import { createServer } from 'node:http';
import { neonConfig } from '@neondatabase/serverless';
import * as z from 'zod/mini';
import { send, toRequest, urlOf } from '../../dev/exchange.ts';
import { listenLocally } from '../../dev/listen.ts';
import { defineAgent } from '../../lib/agents/agent.ts';
import { createRegistry } from '../../lib/agents/registry.ts';
import { createApp, useApp } from '../../lib/app.ts';
import { readConfig } from '../../lib/config.ts';
import { type LogEvent, setSink } from '../../lib/log.ts';

// One instance of the deployment: the functions of api/ as they are, in a process of their own, with an agent that can
// be made to misbehave. What it has to say goes to its parent.

/** What an instance tells its parent. */
export type Told =
  | { kind: 'serves'; url: string; clock: number }
  /** The agent waits for `{ go: device }`. */
  | { kind: 'waits'; device: string }
  | { kind: 'event'; event: LogEvent };

/** A function of api/: its exports. */
type Handlers = Readonly<Record<string, (request: Request) => Promise<Response>>>;

const tell = (told: Told): void => void process.send?.(told);

const gates = new Map<string, () => void>();
process.on('message', ({ go }: { go: string }) => gates.get(go)?.());
process.on('disconnect', () => process.exit(1));

const obeyed = new Set((process.env['FAULTS_OBEYS'] ?? '').split(','));

/**
 * Repeats what it is told, counts it, and holds the conversation. Where the instance obeys them, these words in a
 * message do more: `wait` waits for the parent, `twice` says it in two replies, `throw` fails, `hang` never comes back.
 */
const clerk = defineAgent({
  key: 'clerk',
  description: 'Repeats and counts',
  ttlSeconds: 60,
  state: z.object({ counter: z._default(z.number(), 0) }),
  matches: () => true,
  async answer(turn) {
    const texts = turn.messages.map(({ content }) => content);
    const isTold = (word: string) => obeyed.has(word) && texts.some((text) => text.includes(word));
    if (isTold('throw')) throw new Error('told to');
    if (isTold('hang')) await new Promise(() => {});
    if (isTold('wait')) {
      const gate = Promise.withResolvers<void>();
      gates.set(turn.deviceId, gate.resolve);
      tell({ kind: 'waits', device: turn.deviceId });
      await gate.promise;
    }
    turn.setState({ counter: turn.state.counter + texts.length });
    turn.reply(texts.join('|'));
    if (isTold('twice')) turn.reply('again');
  },
});

// Where `waitUntil` of @vercel/functions looks for the platform, by this name. This process lives on by itself.
Object.assign(globalThis, {
  [Symbol.for('@vercel/request-context')]: {
    get: () => ({ waitUntil: (work: Promise<unknown>) => void work.catch(() => {}) }),
  },
});

/** Serves and tells the parent where. @param find the function that answers a path */
export async function serve(find: (path: string) => Handlers): Promise<void> {
  setSink((event) => tell({ kind: 'event', event }));
  const read = readConfig(process.env);
  if (!read.ok) throw new Error(read.mistakes.join('\n'));
  const endpoint = process.env['FAULTS_NEON_ENDPOINT'];
  if (endpoint !== undefined) neonConfig.fetchEndpoint = endpoint;
  useApp(await createApp(read.config, { registry: createRegistry([clerk]) }));

  const server = createServer((message, response) => {
    const answer = async () => {
      const url = urlOf(message);
      if (url === undefined) throw new Error('a path that is none');
      const handlers = find(url.pathname);
      const handler = handlers[message.method ?? 'GET'] ?? handlers['GET'];
      if (handler === undefined) throw new Error('a function without GET');
      const request = toRequest(message, response, url);
      // every call comes from somewhere else: some are limited per address
      request.headers.set('x-real-ip', crypto.randomUUID());
      await send(await handler(request), message, response, {});
    };
    answer().catch(() => response.destroy());
  });
  const port = await listenLocally(server);
  tell({ kind: 'serves', url: `http://127.0.0.1:${port}`, clock: Date.now() });
}
