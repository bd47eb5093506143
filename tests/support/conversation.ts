import { agents, createRegistry } from '../../lib/agents/registry.ts';
import { type Outcome, runAgents } from '../../lib/agents/run.ts';
import { type JsonObject, parseJson } from '../../lib/json.ts';
import { mergePatch } from '../../lib/merge-patch.ts';
import { type Lock, type LockMove, type Message, HUMAN } from '../../lib/storage/storage.ts';
import { defaultTtl, heldBy, said, texts, turnWith } from './turns.ts';

/** What a device's row would hold between the turns, kept in memory. */
export interface Conversation {
  /** One turn over these messages; gives the texts of the replies. Under `human` nobody answers. */
  say(...messages: string[]): Promise<string[]>;
  readonly holder: string | null;
  readonly state: JsonObject;
  readonly last: Outcome | null;
}

/** A conversation with the built-in agents, each turn applied as COMMIT would. */
export function converse(state: JsonObject = {}): Conversation {
  const registry = createRegistry(agents);
  const conversation = {
    state,
    lock: null as Lock | null,
    history: [] as Message[],
    last: null as Outcome | null,
  };
  return {
    async say(...contents) {
      const messages = said(...contents);
      if (conversation.lock?.agent === HUMAN) return [];
      const turn = turnWith({
        messages,
        state: conversation.state,
        lock: conversation.lock,
        history: conversation.history,
      });
      const outcome = await runAgents(turn, registry, defaultTtl, new AbortController().signal);
      // printed and read, as on its way to the database
      const patch = parseJson(JSON.stringify(outcome.statePatch ?? {})) as JsonObject;
      conversation.state = mergePatch(conversation.state, patch) as JsonObject;
      conversation.lock = moved(conversation.lock, outcome.lock);
      conversation.history.push(...messages);
      conversation.last = outcome;
      return texts(outcome);
    },
    get holder() {
      return conversation.lock?.agent ?? null;
    },
    get state() {
      return conversation.state;
    },
    get last() {
      return conversation.last;
    },
  };
}

function moved(lock: Lock | null, move: LockMove): Lock | null {
  if (move.do === 'set') return heldBy(move.agent, move.ttl);
  return move.do === 'clear' ? null : lock;
}
