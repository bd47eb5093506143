import type * as core from 'zod/v4/core';
import { safeParse } from 'zod/v4/core';
import type { Media, MediaLimits } from '../channels/channel.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { RichReply } from '../replies.ts';
import type { Message } from '../storage/storage.ts';

/** What one call of an agent may do. Nothing of it reaches the outside before the turn is committed. */
export interface AgentTurn<State> {
  /**
   * The messages to answer, in the order in which they were sent; never none. What came beside the text stands in
   * their `metadata`: of WhatsApp pictures, places, tapped buttons, as `whatsAppMetadata` reads it.
   */
  readonly messages: readonly Message[];
  /** Their text, a line each. */
  readonly text: string;
  /**
   * What was said in this session before, oldest first; also what nobody had to answer, such as reactions, whose
   * text may be empty and whose `metadata` says what they are.
   */
  readonly history: readonly Message[];
  /** What this agent noted down before, and in this turn. */
  readonly state: State;
  /** whatsapp, web or api. */
  readonly channel: string;
  readonly deviceId: string;
  readonly sessionId: string;
  /** Ends when the turn is lost or its time is up: hand it to every call that waits for something. */
  readonly signal: AbortSignal;
  /**
   * Fetches the file that came with a message, from the channel's own hosts alone. What is in it is whatever a
   * stranger wanted to send.
   *
   * @throws {MediaError} whose `code` says why; left uncaught the turn fails, and is tried again
   */
  media(message: Message, limits?: MediaLimits): Promise<Media>;
  /**
   * Says something: a text of any length, or buttons, a list, a link, a file, a template (lib/replies.ts). The
   * replies of one turn are sent in this order.
   *
   * @throws {InvalidReply} for more than WhatsApp takes, on every channel
   */
  reply(said: string | RichReply, metadata?: JsonObject): void;
  /** Notes something down: an RFC 7396 merge patch of this agent's own part of the state; null forgets it all. */
  setState(patch: { [Key in keyof State]?: State[Key] | null } | null): void;
  /** The conversation goes on with this agent: in this very turn if it is code, for later messages if `human`. */
  handOff(agent: string): void;
  /** Lets go of the conversation: the next message goes to the manager. */
  end(): void;
}

export interface AgentDefinition<Schema extends core.$ZodType> {
  /** `[a-z0-9][a-z0-9_-]{0,49}`; the name in the lock. */
  key: string;
  /** One sentence for people and for a model that routes. */
  description: string;
  /** Seconds the agent holds the conversation after each answer; the deployment's DEFAULT_SESSION_TTL if left out. */
  ttlSeconds?: number;
  /** Shape of what the agent notes down; must accept `{}`, which is what it starts from. */
  state?: Schema;
  /** Whether a message that nobody holds is for this agent; asked in the order of the registry. */
  matches?: (text: string) => boolean;
  /**
   * true: it is also given turns that say nothing, no word and no picture or the like beside it. Left out, those have
   * a fixed answer, so that they never cost a call of a model.
   */
  takesBlank?: boolean;
  answer(turn: AgentTurn<core.output<Schema>>): Promise<void> | void;
  /** The user said "cancel" or "start over" and the hold ends; forgets everything if left out. */
  cancel?(turn: Pick<AgentTurn<core.output<Schema>>, 'state' | 'setState'>): void;
}

/** An agent as the registry keeps it, its state's type checked at the door. */
export interface Agent {
  readonly key: string;
  readonly description: string;
  readonly ttlSeconds: number | null;
  readonly takesBlank: boolean;
  matches(text: string): boolean;
  /** The agent's part of the state; `fits` is false where it had to begin afresh. */
  readState(stored: unknown): { state: JsonObject; fits: boolean };
  answer(turn: AgentTurn<JsonObject>): Promise<void>;
  cancel(turn: AgentTurn<JsonObject>): void;
}

/** Names a lock may carry, this deployment's agents or somebody else's. */
export const AGENT_NAME = /^[a-z0-9][a-z0-9_-]{0,49}$/;

/**
 * Declares an agent.
 *
 * @throws {Error} at start, when the key is not a name or the state's schema does not accept `{}`
 */
export function defineAgent<Schema extends core.$ZodType = core.$ZodType<JsonObject, JsonObject>>(
  definition: AgentDefinition<Schema>,
): Agent {
  const { key, description, ttlSeconds, state: schema, matches } = definition;
  if (!AGENT_NAME.test(key)) throw new Error(`agent key "${key}" must match ${AGENT_NAME.source}`);
  const parse = (value: unknown): JsonObject | null => {
    if (schema === undefined) return isJsonObject(value) ? value : null;
    const result = safeParse(schema, value);
    return result.success && isJsonObject(result.data) ? result.data : null;
  };
  const initial = parse({});
  if (initial === null)
    throw new Error(
      `the state of agent "${key}" must accept {}: give each field a default, or make it optional`,
    );

  return {
    key,
    description,
    ttlSeconds: ttlSeconds ?? null,
    takesBlank: definition.takesBlank ?? false,
    matches: (text) => matches?.(text) ?? false,
    readState(stored) {
      // copies: what an agent writes into them must reach neither the document nor the next device
      const state = stored === undefined || stored === null ? null : parse(structuredClone(stored));
      const fits = state !== null || stored === undefined || stored === null;
      return { state: state ?? structuredClone(initial), fits };
    },
    // the two places where the stored document becomes the agent's own type: readState has checked it
    async answer(turn) {
      await definition.answer(turn as unknown as AgentTurn<core.output<Schema>>);
    },
    cancel(turn) {
      if (definition.cancel === undefined) turn.setState(null);
      else definition.cancel(turn as unknown as AgentTurn<core.output<Schema>>);
    },
  };
}
