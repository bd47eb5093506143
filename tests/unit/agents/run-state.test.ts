import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { defineAgent } from '../../../lib/agents/agent.ts';
import { type JsonObject, parseJson } from '../../../lib/json.ts';
import { mergePatch } from '../../../lib/merge-patch.ts';
import { captureLog } from '../../support/logged.ts';
import { agentNamed, answer, device, heldBy, said, texts, turnWith } from '../../support/turns.ts';

const events = captureLog();
const eventNames = () => events.map(({ event }) => event);
const echo = agentNamed('echo', (turn) => turn.reply(`echo: ${turn.text}`));

describe('setState', () => {
  const once = (...patches: (JsonObject | null)[]) =>
    agentNamed('note', (turn) => {
      for (const patch of patches) turn.setState(patch);
    });
  const patchOf = async (state: JsonObject, ...patches: (JsonObject | null)[]) =>
    (await answer(turnWith({ lock: heldBy('note'), state }), [once(...patches)])).statePatch;

  it("merges into the agent's own part, and what is null is forgotten", async () => {
    const state = { note: { a: { x: 1, y: 1 }, b: 1 } };
    expect(await patchOf(state, { a: { x: 2 }, b: null, c: 3 })).toEqual({
      note: { a: { x: 2 }, b: null, c: 3 },
    });
  });

  it('with null forgets all of it', async () => {
    expect(await patchOf({ note: { a: 1 }, other: 1 }, null)).toEqual({ note: null });
    expect(await patchOf({ note: { a: 1 } }, null, { b: 2 })).toEqual({ note: { a: null, b: 2 } });
    expect(await patchOf({ note: { a: 1 } }, { b: 2 }, null)).toEqual({ note: null });
    expect(await patchOf({}, null)).toBeNull();
  });

  it('leads to a patch of what changed and nothing else', async () => {
    const state = {
      note: { a: { x: 1 }, b: [1, 2] },
      billing: { asked: true },
      'of the caller': null,
    };
    expect(await patchOf(state)).toBeNull();
    expect(await patchOf(state, { a: { x: 1 }, b: [1, 2] })).toBeNull();
    expect(await patchOf(state, { a: { x: 2 } }, { a: { x: 1 } })).toBeNull();
    expect(await patchOf(state, { b: [1] })).toEqual({ note: { b: [1] } });
  });

  it('shows at once in turn.state, and to nobody else', async () => {
    const seen: JsonObject[] = [];
    const first = agentNamed('first', (turn) => {
      turn.setState({ a: 1 });
      turn.setState({ b: { c: 2 } });
      seen.push(turn.state);
      turn.setState({ a: null });
      seen.push(turn.state);
      turn.handOff('second');
    });
    const second = agentNamed('second', (turn) => void seen.push(turn.state));
    const turn = turnWith({ lock: heldBy('first') });
    await answer(turn, [first, second]);
    expect(seen).toEqual([{ a: 1, b: { c: 2 } }, { b: { c: 2 } }, {}]);
    expect(turn.state).toEqual({});
  });

  it('of several agents in one turn leads to one patch', async () => {
    const first = agentNamed('first', (turn) => {
      turn.setState({ a: 1 });
      turn.handOff('second');
    });
    const second = agentNamed('second', (turn) => turn.setState({ b: 2 }));
    const outcome = await answer(turnWith({ lock: heldBy('first'), state: { second: { b: 1 } } }), [
      first,
      second,
    ]);
    expect(outcome.statePatch).toEqual({ first: { a: 1 }, second: { b: 2 } });
  });

  it('never leaves a patch that says less than turn.state showed, also where a key was set to undefined', async () => {
    const optional = z.object({ service: z.optional(z.string()), day: z.optional(z.string()) });
    const shown: unknown[] = [];
    const agent = defineAgent({
      key: 'note',
      description: 'Notes down',
      state: optional,
      answer(turn) {
        turn.setState({ service: undefined, day: 'Friday' });
        shown.push(turn.state.service);
      },
    });
    const turn = turnWith({ lock: heldBy('note'), state: { note: { service: 'massage' } } });
    const { statePatch } = await answer(turn, [agent]);
    // as it is stored: what the wire drops is dropped
    const stored = mergePatch(turn.state, parseJson(JSON.stringify(statePatch)) as JsonObject) as {
      note: JsonObject;
    };
    expect([stored.note['service']]).toEqual(shown);
  });

  it.each<[string, JsonObject]>([
    ['U+0000', { a: '\u0000' }],
    ['half a surrogate pair', { a: { '\ud83d': 1 } }],
    ['a number without end', { a: Infinity }],
  ])('throws at the agent for %s, which could not be stored', async (_, patch) => {
    await expect(answer(turnWith({ lock: heldBy('note') }), [once(patch)])).rejects.toThrow(
      /state|number/,
    );
  });

  it('works for an agent called like something every object inherits', async () => {
    const agent = agentNamed('constructor', (turn) => turn.setState({ a: 1 }));
    const outcome = await answer(turnWith({ lock: heldBy('constructor') }), [agent]);
    expect(JSON.stringify(outcome.statePatch)).toBe('{"constructor":{"a":1}}');
    expect(eventNames()).toEqual([]);
  });
});

describe('a state that no longer fits', () => {
  const counter = defineAgent({
    key: 'counter',
    description: 'Counts',
    state: z.object({ count: z.optional(z.number()) }),
    answer(turn) {
      turn.setState({ count: (turn.state.count ?? 0) + 1 });
      turn.reply(String(turn.state.count));
    },
  });

  it.each<[string, JsonObject]>([
    ['an older shape', { count: 'twelve', old: { deep: true } }],
    ['no object', { counter: 'text' }],
    ['a list', { counter: [1, 2] }],
  ])('is an event in the log and a fresh beginning, not a crash: %s', async (_, part) => {
    const state: JsonObject = { counter: part['counter'] ?? part, other: { kept: true } };
    const outcome = await answer(turnWith({ lock: heldBy('counter'), state }), [counter]);
    expect(texts(outcome)).toEqual(['1']);
    expect(mergePatch(state, outcome.statePatch ?? {})).toEqual({
      counter: { count: 1 },
      other: { kept: true },
    });
    expect(events).toMatchObject([
      { level: 'warn', event: 'state_misfit', device_id: device, agent: 'counter' },
    ]);
    expect(JSON.stringify(events)).not.toMatch(/twelve|text/);
  });

  it('stays as it is while the agent notes nothing down', async () => {
    const reader = defineAgent({
      key: 'reader',
      description: 'Reads',
      state: z.object({ a: z.optional(z.number()) }),
      answer: (turn) => turn.reply(JSON.stringify(turn.state)),
    });
    const outcome = await answer(
      turnWith({ lock: heldBy('reader'), state: { reader: { a: 'x' } } }),
      [reader],
    );
    expect(texts(outcome)).toEqual(['{}']);
    expect(outcome.statePatch).toBeNull();
  });

  it('is an event only for the agent that reads it', async () => {
    await answer(turnWith({ lock: heldBy('echo'), state: { counter: 'text' } }), [counter, echo]);
    expect(eventNames()).toEqual([]);
  });
});

describe('what the outcome writes into a device', () => {
  it('never reaches another one: an agent that writes into turn.state marks nobody else', async () => {
    const seen: string[] = [];
    const careless = agentNamed('careless', (turn) => {
      seen.push(JSON.stringify(turn.state));
      turn.state['name'] = turn.text;
    });
    await answer(turnWith({ lock: heldBy('careless'), messages: said('Ana') }), [careless]);
    await answer(turnWith({ lock: heldBy('careless'), messages: said('Ben') }), [careless]);
    expect(seen).toEqual(['{}', '{}']);
  });
});
