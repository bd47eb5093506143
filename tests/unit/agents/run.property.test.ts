import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Agent } from '../../../lib/agents/agent.ts';
import { type JsonObject, parseJson } from '../../../lib/json.ts';
import { mergePatch } from '../../../lib/merge-patch.ts';
import type { LockMove } from '../../../lib/storage/storage.ts';
import { anyDocument, print } from '../../support/documents.ts';
import { captureLog } from '../../support/logged.ts';
import { agentNamed, answer, defaultTtl, heldBy, turnWith } from '../../support/turns.ts';

captureLog();

const names = ['one', 'two', 'manager'] as const;
type Name = (typeof names)[number];

type Action =
  | { reply: string }
  | { note: JsonObject | null }
  | { handOff: Name | 'human' }
  | { end: true };

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
  .filter((value) => value.trim() !== '');

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ reply: text }) },
  { weight: 4, arbitrary: fc.record({ note: fc.option(anyDocument, { freq: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ handOff: fc.constantFrom(...names, 'human' as const) }) },
  { weight: 1, arbitrary: fc.constant({ end: true as const }) },
);

/** What the agents do, call by call; a call beyond the script says nothing. */
const script = fc.array(fc.array(action, { maxLength: 5 }), { maxLength: 6 });

/** The stored document: parts of these agents, fitting or not, and what callers keep beside them. */
const stored = fc.record(
  {
    one: fc.oneof(anyDocument, fc.constantFrom('text', null, 7)),
    two: anyDocument,
    theirs: anyDocument,
  },
  { requiredKeys: [] },
);

/** Agents that follow one script, and what was said and seen while they did. */
function perform(calls: Action[][]) {
  const saidSoFar: { content: string; agent: string }[] = [];
  const asked: Name[] = [];
  const lastSeen = new Map<string, JsonObject>();
  const actor = (name: Name): Agent =>
    agentNamed(name, async (turn) => {
      const steps = calls[asked.length] ?? [];
      asked.push(name);
      for (const step of steps) {
        if ('reply' in step) {
          turn.reply(step.reply);
          saidSoFar.push({ content: step.reply, agent: name });
        } else if ('note' in step) turn.setState(step.note);
        else if ('handOff' in step) turn.handOff(step.handOff);
        else turn.end();
        // others may run between two words of an agent
        await Promise.resolve();
      }
      lastSeen.set(name, structuredClone(turn.state));
    });
  return {
    agents: [actor('one'), actor('two')],
    manager: actor('manager'),
    asked,
    saidSoFar,
    lastSeen,
  };
}

it('whatever agents do, no reply changes its place, and the patch leads to exactly what they last saw', async () => {
  await fc.assert(
    fc.asyncProperty(
      script,
      stored,
      fc.constantFrom(...names, null),
      async (calls, state, holder) => {
        const before = print(state);
        const { agents, manager, saidSoFar, lastSeen } = perform(calls);
        const turn = turnWith({
          state,
          lock: holder === null ? null : heldBy(holder),
        });
        const outcome = await answer(turn, agents, { manager });

        expect(outcome.replies.map(({ content, agent }) => ({ content, agent }))).toEqual(
          saidSoFar,
        );

        const patch = parseJson(JSON.stringify(outcome.statePatch)) as JsonObject | null;
        const after = patch === null ? turn.state : (mergePatch(turn.state, patch) as JsonObject);
        for (const agent of [...agents, manager]) {
          const seen = lastSeen.get(agent.key);
          const part = Object.hasOwn(after, agent.key) ? after[agent.key] : undefined;
          // an agent that was not asked has changed nothing
          if (seen === undefined) expect(print(part)).toBe(print(turn.state[agent.key]));
          else expect(print(agent.readState(part).state)).toBe(print(seen));
        }
        expect(print(after['theirs'])).toBe(print(turn.state['theirs']));
        expect(print(turn.state)).toBe(before);
      },
    ),
    { numRuns: 500 },
  );
});

it('whatever agents do, each is followed by whom it named, at most six answer, and the last word moves the lock', async () => {
  await fc.assert(
    fc.asyncProperty(script, async (calls) => {
      const { agents, manager, asked } = perform(calls);
      const { agent, lock } = await answer(turnWith(), agents, { manager });

      const words = asked.map((_, index) => lastWord(calls[index] ?? []));
      expect(asked.length).toBeLessThanOrEqual(6);
      expect(asked).toEqual(['manager', ...words.slice(0, asked.length - 1)]);
      expect(agent).toBe(asked.at(-1));
      expect(lock).toEqual(expectedMove(asked, words.at(-1) ?? null));
    }),
    { numRuns: 300 },
  );
});

/** Whom an agent passed the conversation to; null: it stays. */
function lastWord(call: Action[]): string | null {
  return call.reduce<string | null>((word, step) => {
    if ('handOff' in step) return step.handOff;
    return 'end' in step ? 'end' : word;
  }, null);
}

function expectedMove(asked: string[], word: string | null): LockMove {
  const holder = word ?? asked.at(-1) ?? 'manager';
  if (holder === 'manager' && asked.length === 1 && word === null) return { do: 'keep' };
  return holder === 'manager' || holder === 'end'
    ? { do: 'clear' }
    : { do: 'set', agent: holder, ttl: defaultTtl };
}
