import { type AgentTurn, defineAgent } from '../../lib/agents/agent.ts';
import { createRegistry, type Registry } from '../../lib/agents/registry.ts';
import type { JsonObject } from '../../lib/json.ts';

type Answer = (turn: AgentTurn<JsonObject>) => Promise<void> | void;

/** A deployment whose only agent does what the running test says. */
export interface Script {
  registry: Registry;
  /** The texts of every turn that ran since `reset`. */
  readonly turns: string[][];
  /** What happens from the next turn on. */
  play(answer: Answer): void;
  /** Repeats what was said, from the next turn on. */
  reset(): void;
  /** Holds every turn up until the function it gives is called. */
  hold(): () => void;
}

const repeat: Answer = (turn) => turn.reply(`re ${turn.text}`);

export function scripted(): Script {
  let answer = repeat;
  const turns: string[][] = [];
  const manager = defineAgent({
    key: 'manager',
    description: 'Does what the test says',
    async answer(turn) {
      turns.push(turn.messages.map((message) => message.content));
      await answer(turn);
    },
  });
  return {
    registry: createRegistry([], manager),
    turns,
    play(next) {
      answer = next;
    },
    reset() {
      answer = repeat;
      turns.length = 0;
    },
    hold() {
      const gate = Promise.withResolvers<void>();
      answer = async (turn) => {
        await gate.promise;
        await repeat(turn);
      };
      return gate.resolve;
    },
  };
}
