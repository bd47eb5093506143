import { type Channel, MediaError } from '../channels/channel.ts';
import { assertStorable, type JsonObject, type JsonValue, parseJson } from '../json.ts';
import { log } from '../log.ts';
import { diffPatch, mergePatch } from '../merge-patch.ts';
import { InvalidReply, toReply } from '../replies.ts';
import { inSpan } from '../spans.ts';
import { HUMAN, type LockMove, type Message, type Reply, type Turn } from '../storage/storage.ts';
import type { Agent, AgentTurn } from './agent.ts';
import { isCancel, saysNothing } from './plain-text.ts';
import { MANAGER, type Registry } from './registry.ts';

/** Agents that may follow each other in one turn; two that hand over to each other must not go on for ever. */
const MAX_HANDOFFS = 5;
/** As many replies as one COMMIT takes. */
const MAX_REPLIES = 100;

export interface Outcome {
  /** Who answered last. */
  agent: string;
  replies: Reply[];
  /** What changed in the state document, as a merge patch; null: nothing. */
  statePatch: JsonObject | null;
  lock: LockMove;
}

/** What the agents of one turn have done so far, none of it visible to anybody yet. */
interface Draft {
  turn: Turn;
  /** Where the messages came from; null where the caller is the channel itself. */
  channel: Channel | null;
  messages: readonly Message[];
  state: JsonObject;
  replies: Reply[];
  lock: LockMove;
}

/** To a turn that says nothing: no model is asked about nothing. */
const NOTHING_SAID = 'Your message arrived empty. What can I do for you?';

/** Where one agent left the conversation. */
type Step = { to: string } | 'ended' | 'stays';

/**
 * Lets the agents answer a turn: the holder of the lock, or the manager, and whom they hand over to.
 *
 * @param defaultTtl seconds, for agents without a TTL of their own
 * @param signal ends the wait for an agent that does not come back; its late words are not heard
 * @param channel where files that came with the messages are fetched from
 * @throws whatever an agent throws, and the signal's reason
 */
export async function runAgents(
  turn: Turn,
  registry: Registry,
  defaultTtl: number,
  signal: AbortSignal,
  channel: Channel | null = null,
): Promise<Outcome> {
  const draft: Draft = {
    turn,
    channel,
    messages: turn.messages,
    state: turn.state,
    replies: [],
    lock: { do: 'keep' },
  };
  let agent = startingAgent(draft, registry);
  if (!agent.takesBlank && draft.messages.every(saysNothing)) {
    agent = registry.manager;
    draft.messages = [];
    if (draft.replies.length === 0)
      draft.replies.push({ content: NOTHING_SAID, metadata: {}, agent: MANAGER });
  }
  for (let hops = 0; draft.messages.length > 0; hops++) {
    const step = await runOne(draft, agent, registry, signal);
    if (step === 'ended') {
      draft.lock = { do: 'clear' };
      break;
    }
    if (step === 'stays') {
      if (agent.key !== MANAGER)
        draft.lock = { do: 'set', agent: agent.key, ttl: ttlToHold(turn, agent, defaultTtl) };
      break;
    }
    const next = registry.find(step.to);
    draft.lock =
      step.to === MANAGER
        ? { do: 'clear' }
        : { do: 'set', agent: step.to, ttl: registry.ttlOf(step.to, defaultTtl) };
    if (next === null) break;
    if (hops === MAX_HANDOFFS) {
      log('warn', 'handoff_limit', { device_id: turn.device, agent: next.key });
      break;
    }
    agent = next;
  }
  const patch = diffPatch(turn.state, draft.state);
  return {
    agent: agent.key,
    replies: draft.replies,
    statePatch: Object.keys(patch).length === 0 ? null : patch,
    lock: draft.lock,
  };
}

/** A holding goes on for as long as it was taken for; a new one takes the agent's own TTL. */
function ttlToHold(turn: Turn, agent: Agent, defaultTtl: number): number {
  return turn.lock?.agent === agent.key ? turn.lock.sessionTtl : (agent.ttlSeconds ?? defaultTtl);
}

/** The holder, or the manager where nobody holds, the holder is not known here, or the user wants out. */
function startingAgent(draft: Draft, registry: Registry): Agent {
  const holder = draft.turn.lock?.agent;
  if (holder === undefined) return registry.manager;
  const agent = registry.find(holder);
  if (agent === null) log('warn', 'agent_unknown', { device_id: draft.turn.device, agent: holder });

  const cancelled = draft.messages.findLastIndex((message) => isCancel(message.content));
  if (cancelled === -1) return agent ?? registry.manager;
  if (agent !== null)
    agent.cancel(openTurn(draft, agent, registry, new AbortController().signal).turn);
  draft.replies.push({ content: 'All right, cancelled.', metadata: {}, agent: MANAGER });
  draft.lock = { do: 'clear' };
  draft.messages = draft.messages.slice(cancelled + 1);
  return registry.manager;
}

async function runOne(
  draft: Draft,
  agent: Agent,
  registry: Registry,
  signal: AbortSignal,
): Promise<Step> {
  signal.throwIfAborted();
  const opened = openTurn(draft, agent, registry, signal);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    const attributes = { 'baton.agent': agent.key, 'baton.device_id': draft.turn.device };
    await inSpan('agent', attributes, async () => {
      await Promise.race([agent.answer(opened.turn), aborted.promise]);
    });
    return opened.step();
  } finally {
    signal.removeEventListener('abort', abort);
    opened.close();
  }
}

/** The agent's own part of the state; `constructor` is a name like any other. */
function partOf({ state }: Draft, { key }: Agent): JsonValue | undefined {
  return Object.hasOwn(state, key) ? state[key] : undefined;
}

/** @throws {InvalidReply} when the turn has too many, the parts of a long text counted one by one */
function addReply({ channel, replies }: Draft, reply: Reply): void {
  const parts = channel?.split(reply) ?? [reply];
  if (replies.length + parts.length > MAX_REPLIES)
    throw new InvalidReply(`a turn may hold ${MAX_REPLIES} replies`);
  replies.push(...parts);
}

/** The agent's view of the draft. Once closed it refuses every call: an abandoned agent changes nothing. */
function openTurn(draft: Draft, agent: Agent, registry: Registry, signal: AbortSignal) {
  const { turn } = draft;
  let step: Step = 'stays';
  let open = true;
  const mustBeOpen = () => {
    if (!open) throw new Error('the turn is over: this call has no effect');
  };
  const stored = () => agent.readState(partOf(draft, agent));
  if (!stored().fits) log('warn', 'state_misfit', { device_id: turn.device, agent: agent.key });

  const view: AgentTurn<JsonObject> = {
    messages: draft.messages,
    text: draft.messages.map((message) => message.content).join('\n'),
    history: turn.history,
    get state() {
      return stored().state;
    },
    channel: turn.channel,
    deviceId: turn.device,
    sessionId: turn.sessionId,
    signal,
    async media(message, limits) {
      mustBeOpen();
      if (draft.channel?.fetchMedia === undefined) throw new MediaError('no_media');
      return draft.channel.fetchMedia(message, turn, signal, limits);
    },
    reply(said, metadata = {}) {
      mustBeOpen();
      addReply(draft, toReply(said, metadata, agent.key));
    },
    setState(patch) {
      mustBeOpen();
      if (patch !== null) assertStorable(patch as JsonObject, 'state');
      // as JSON says it: a key that is undefined is not mentioned
      const said = parseJson(JSON.stringify(patch)) as JsonValue;
      const part =
        said === null ? null : mergePatch(stored().fits ? partOf(draft, agent) : {}, said);
      if (part !== null) assertStorable(part, 'state');
      draft.state = mergePatch(
        { ...draft.state, [agent.key]: null },
        { [agent.key]: part },
      ) as JsonObject;
    },
    handOff(to) {
      mustBeOpen();
      if (to !== HUMAN && registry.find(to) === null) throw new Error(`no agent is called "${to}"`);
      step = { to };
    },
    end() {
      mustBeOpen();
      step = 'ended';
    },
  };
  return {
    turn: view,
    step: () => step,
    close: () => {
      open = false;
    },
  };
}
