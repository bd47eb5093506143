import { HUMAN } from '../../storage/storage.ts';
import { type Agent, defineAgent } from '../agent.ts';
import { plainText } from '../plain-text.ts';

const WANTS_A_PERSON =
  /\b(human|(?:a|an actual|any|real) person|person,? please|somebody real|representative|operator|(?:an|live|real|support) agent|talk to (?:some|any)(?:one|body)|speak (?:to|with) (?:some|any)(?:one|body))\b/;

/**
 * Answers when nobody holds the conversation: passes it to a person who is asked for, to the first agent whose
 * `matches` says so, or greets. Holds nothing itself. A model can take its place: write another agent called
 * `manager` and give it to `createRegistry`.
 */
export function createManager(agents: readonly Agent[]): Agent {
  const help = agents.map((agent) => agent.description.replace(/\.$/, '').toLowerCase()).join('; ');
  return defineAgent({
    key: 'manager',
    description: 'Greets, and routes to the agent that can help',
    answer(turn) {
      const text = plainText(turn.text);
      if (WANTS_A_PERSON.test(text)) {
        turn.reply('I am passing you on to a person. They will answer here.');
        turn.handOff(HUMAN);
        return;
      }
      const agent = agents.find((candidate) => candidate.matches(text));
      if (agent !== undefined) {
        turn.handOff(agent.key);
        return;
      }
      turn.reply(
        turn.history.length === 0
          ? `Hello! I can pass you on to somebody who ${help}. What can I do for you?`
          : `I did not quite get that. I can pass you on to somebody who ${help}, or to a person.`,
      );
    },
  });
}
