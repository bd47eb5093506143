import { describe, expect, expectTypeOf, it } from 'vitest';
import * as z from 'zod/mini';
import { AGENT_NAME, defineAgent } from '../../../lib/agents/agent.ts';
import { agentNamed, answer, turnWith } from '../../support/turns.ts';

const silent = { description: 'Says nothing', answer: () => {} };

describe('defineAgent', () => {
  it.each(['a', '0', 'scheduling', 'a-b_c', '9lives', 'x'.repeat(50)])(
    'takes the key %s',
    (key) => {
      expect(defineAgent({ key, ...silent }).key).toBe(key);
    },
  );

  it.each(['', 'Scheduling', '-a', '_a', 'a b', 'a.b', 'é', 'a\n', 'x'.repeat(51), '__proto__'])(
    'refuses the key %j',
    (key) => {
      expect(() => defineAgent({ key, ...silent })).toThrow(`agent key "${key}"`);
      expect(key).not.toMatch(AGENT_NAME);
    },
  );

  it.each([
    ['a field that must be there', z.object({ name: z.string() })],
    ['no objects', z.string()],
    [
      'something that is no object',
      z.pipe(
        z.object({}),
        z.transform(() => 'text'),
      ),
    ],
    [
      'a list',
      z.pipe(
        z.object({}),
        z.transform(() => []),
      ),
    ],
  ])('refuses a state that does not accept {}: %s', (_, state) => {
    expect(() => defineAgent({ key: 'strict', state, ...silent })).toThrow(
      'the state of agent "strict" must accept {}',
    );
  });

  it('takes a state whose fields are optional or have a default', () => {
    const state = z.object({ name: z.optional(z.string()), count: z._default(z.number(), 3) });
    const agent = defineAgent({ key: 'lenient', state, ...silent });
    expect(agent.readState(undefined)).toEqual({ state: { count: 3 }, fits: true });
  });

  it('gives the state the type of its schema', async () => {
    const state = z.object({ name: z.optional(z.string()), count: z._default(z.number(), 3) });
    const seen: unknown[] = [];
    const agent = defineAgent({
      key: 'typed',
      description: 'Counts',
      state,
      answer(turn) {
        expectTypeOf(turn.state.count).toEqualTypeOf<number>();
        expectTypeOf(turn.state.name).toEqualTypeOf<string | undefined>();
        seen.push(turn.state.name, turn.state.count);
        turn.handOff('typed-too');
      },
    });
    const other = agentNamed('typed-too', () => {});
    const manager = agentNamed('manager', (turn) => turn.handOff('typed'));
    await answer(turnWith({ state: { typed: { name: 'Ana', count: 8 } } }), [agent, other], {
      manager,
    });
    expect(seen).toEqual(['Ana', 8]);
  });

  it("is asked nothing and holds for the deployment's TTL unless it says otherwise", () => {
    const agent = defineAgent({ key: 'plain', ...silent });
    expect(agent.matches('anything at all')).toBe(false);
    expect(agent.ttlSeconds).toBeNull();
    expect(
      defineAgent({ key: 'plain', ...silent, ttlSeconds: 60, matches: (text) => text === 'x' }),
    ).toMatchObject({ ttlSeconds: 60 });
  });
});

describe('readState', () => {
  const counting = defineAgent({
    key: 'counting',
    ...silent,
    state: z.object({ count: z.optional(z.number()) }),
  });
  const free = defineAgent({ key: 'free', ...silent });

  it.each([undefined, null])('begins from {} where %s is stored', (stored) => {
    expect(counting.readState(stored)).toEqual({ state: {}, fits: true });
    expect(free.readState(stored)).toEqual({ state: {}, fits: true });
  });

  it('gives what is stored if it fits', () => {
    expect(counting.readState({ count: 2 })).toEqual({ state: { count: 2 }, fits: true });
    expect(free.readState({ anything: [1] })).toEqual({ state: { anything: [1] }, fits: true });
  });

  it.each([{ count: 'two' }, 'text', 7, true, [], [{ count: 2 }]])(
    'begins afresh, and says so, where %j is stored',
    (stored) => {
      expect(counting.readState(stored)).toEqual({ state: {}, fits: false });
    },
  );

  it.each(['text', 7, true, []])('without a schema still is an object: not %j', (stored) => {
    expect(free.readState(stored)).toEqual({ state: {}, fits: false });
  });

  it("leaves no trace of one reader's changes for the next, who may be another device", () => {
    const first = free.readState(undefined).state;
    first['name'] = 'Ana';
    expect(free.readState(undefined).state).toEqual({});

    const misfit = counting.readState('text').state;
    misfit['count'] = 12;
    expect(counting.readState(undefined).state).toEqual({});
  });
});
