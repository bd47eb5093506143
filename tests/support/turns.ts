import { type AgentTurn, defineAgent, type Agent } from '../../lib/agents/agent.ts';
import { createRegistry } from '../../lib/agents/registry.ts';
import { type Outcome, runAgents } from '../../lib/agents/run.ts';
import type { Channel } from '../../lib/channels/channel.ts';
import type { JsonObject } from '../../lib/json.ts';
import type { DeviceId, Fence, Lock, Message, Turn, Version } from '../../lib/storage/storage.ts';

// Turns and agents made by hand, for what happens in memory between the grant of a turn and its COMMIT.

/** Noon; nothing under test reads the clock of a row. */
export const noon = new Date('2026-11-20T12:00:00.000Z');
export const device = '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11' as DeviceId;
export const defaultTtl = 86_400;

/** Messages of the user, in this order. */
export function said(...texts: string[]): Message[] {
  return texts.map((content, index) => ({
    id: String(index + 1),
    messageId: `message-${index + 1}`,
    role: 'user' as const,
    content,
    agent: null,
    metadata: {},
    sentAt: noon,
    createdAt: noon,
  }));
}

export function heldBy(agent: string, sessionTtl = defaultTtl): Lock {
  return {
    agent,
    lockedAt: noon,
    expiresAt: new Date(noon.getTime() + sessionTtl * 1_000),
    sessionTtl,
    version: '41' as Version,
  };
}

export function turnWith(some: Partial<Turn> = {}): Turn {
  return {
    device,
    fence: '7' as Fence,
    expiresAt: new Date(noon.getTime() + 60_000),
    sessionId: '0b0e7f5c-3c1e-4f0b-8a55-2f4f5a8e0c77',
    channel: 'web',
    account: device,
    address: {},
    lock: null,
    state: {},
    stateVersion: null,
    messages: said('hello'),
    history: [],
    replies: [],
    ...some,
  };
}

type Answer = (turn: AgentTurn<JsonObject>) => Promise<void> | void;

/** An agent without a schema that does what it is told. */
export function agentNamed(
  key: string,
  answer: Answer,
  more: {
    ttlSeconds?: number;
    cancel?: (turn: Pick<AgentTurn<JsonObject>, 'state' | 'setState'>) => void;
  } = {},
): Agent {
  return defineAgent({ key, description: `Does what ${key} does`, answer, ...more });
}

/** A manager that says one thing, for tests of the others. */
export const plainManager = agentNamed('manager', (turn) => turn.reply('the manager'));

/** Runs a turn with these agents; the signal never ends if left out. */
export function answer(
  turn: Turn,
  agents: readonly Agent[],
  {
    manager = plainManager,
    signal = new AbortController().signal,
    channel = null,
  }: { manager?: Agent; signal?: AbortSignal; channel?: Channel | null } = {},
): Promise<Outcome> {
  return runAgents(turn, createRegistry(agents, manager), defaultTtl, signal, channel);
}

export const texts = (outcome: Outcome): string[] => outcome.replies.map((reply) => reply.content);
