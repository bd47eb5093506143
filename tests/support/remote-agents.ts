import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { listenLocally } from '../../dev/listen.ts';
import type { AgentTurn } from '../../lib/agents/agent.ts';
import type { Registry } from '../../lib/agents/registry.ts';
import type { JsonObject, JsonValue } from '../../lib/json.ts';
import { mergePatch } from '../../lib/merge-patch.ts';
import type { RemoteAnswer, RemoteTurn } from './remote-registry.ts';

/** Every name that a test gives to an agent of its own: a registry does not list whom it knows. */
const names = ['manager', 'broken', 'echo', 'reminder', 'shaky', 'slow', 'waiter'];

/** The agents of a test, for a deployment in another process to ask. */
export interface RemoteAgents {
  /** For TEST_AGENTS: where to ask, and for whom. */
  address: string;
  close(): void;
}

export async function serveAgents(registry: Registry): Promise<RemoteAgents> {
  const server = createServer((request, response) => {
    void (async () => {
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      const asked = (await json(request)) as RemoteTurn;
      response.end(JSON.stringify(await answer(registry, asked, gone.signal)));
    })();
  });
  const port = await listenLocally(server);
  return {
    address: [
      `http://127.0.0.1:${port}`,
      ...names.filter((name) => registry.find(name) !== null),
    ].join(' '),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(
  registry: Registry,
  { key, state: stored, ...asked }: RemoteTurn,
  signal: AbortSignal,
): Promise<RemoteAnswer> {
  const calls: RemoteAnswer['calls'] = [];
  let state: JsonValue = stored;
  const turn: AgentTurn<JsonObject> = {
    ...asked,
    text: asked.messages.map(({ content }) => content).join('\n'),
    get state() {
      return state as JsonObject;
    },
    signal,
    media: () => Promise.reject(new Error('no file comes over this wire')),
    reply: (said, metadata = {}) => void calls.push({ reply: [said, metadata] }),
    setState(patch) {
      calls.push({ setState: patch as JsonObject | null });
      state = patch === null ? {} : mergePatch(state, patch as JsonObject);
    },
    handOff: (agent) => void calls.push({ handOff: agent }),
    end: () => void calls.push({ end: true }),
  };
  try {
    const agent = key === 'manager' ? registry.manager : registry.find(key);
    if (agent === null) throw new Error(`the test has no agent called "${key}"`);
    await agent.answer(turn);
    return { calls, thrown: null };
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    return { calls, thrown: { name, message } };
  }
}
