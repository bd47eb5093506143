import type { AgentTurn, defineAgent as define } from '../../lib/agents/agent.ts';
import type { Registry } from '../../lib/agents/registry.ts';
import type { JsonObject } from '../../lib/json.ts';
import type { RichReply } from '../../lib/replies.ts';

type Turn = AgentTurn<JsonObject>;

/** What of a turn goes over the wire. */
export type RemoteTurn = Pick<
  Turn,
  'messages' | 'history' | 'state' | 'channel' | 'deviceId' | 'sessionId'
> & {
  key: string;
};

/** What the agent did, call by call, and what it threw at last. */
export interface RemoteAnswer {
  calls: (
    | { reply: [string | RichReply, JsonObject] }
    | { setState: JsonObject | null }
    | { handOff: string }
    | { end: true }
  )[];
  thrown: { name: string; message: string } | null;
}

/** A registry whose agents ask over HTTP what to do: the manager, and whoever else is listed. */
export function remoteRegistry(
  defineAgent: typeof define,
  url: string,
  keys: readonly string[],
): Registry {
  const remote = (key: string) =>
    defineAgent({
      key,
      description: 'Does what the test says',
      async answer({ messages, history, state, channel, deviceId, sessionId, signal, ...turn }) {
        const asked: RemoteTurn = { key, messages, history, state, channel, deviceId, sessionId };
        const response = await fetch(url, { method: 'POST', body: JSON.stringify(asked), signal });
        const { calls, thrown } = (await response.json()) as RemoteAnswer;
        for (const call of calls) {
          if ('reply' in call) turn.reply(...call.reply);
          else if ('setState' in call) turn.setState(call.setState);
          else if ('handOff' in call) turn.handOff(call.handOff);
          else turn.end();
        }
        if (thrown !== null) throw Object.assign(new Error(thrown.message), { name: thrown.name });
      },
    });
  return {
    manager: remote('manager'),
    find: (key) => (keys.includes(key) ? remote(key) : null),
    ttlOf: (_, fallback) => fallback,
  };
}
