import { describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import { type AgentTurn, defineAgent } from '../../../lib/agents/agent.ts';
import type { Channel } from '../../../lib/channels/channel.ts';
import type { JsonObject } from '../../../lib/json.ts';
import { mergePatch } from '../../../lib/merge-patch.ts';
import { captureLog } from '../../support/logged.ts';
import {
  agentNamed,
  answer,
  defaultTtl,
  device,
  heldBy,
  plainManager,
  said,
  texts,
  turnWith,
} from '../../support/turns.ts';

const events = captureLog();
const eventNames = () => events.map(({ event }) => event);
const echo = agentNamed('echo', (turn) => turn.reply(`echo: ${turn.text}`));

describe('a turn that says nothing', () => {
  const never = agentNamed('never', () => {
    throw new Error('was asked about nothing');
  });
  const fixed = { content: expect.any(String), metadata: {}, agent: 'manager' };

  it.each([[['']], [['   ']], [['\u200b', '\n']]])(
    '%j has a fixed answer, whoever holds, and nothing changes',
    async (contents) => {
      for (const lock of [null, heldBy('never'), heldBy('elsewhere')]) {
        const turn = turnWith({ lock, messages: said(...contents) });
        const outcome = await answer(turn, [never], { manager: { ...never, key: 'manager' } });
        expect(outcome).toEqual({
          agent: 'manager',
          replies: [fixed],
          statePatch: null,
          lock: { do: 'keep' },
        });
      }
    },
  );

  it('goes to a holder that asks for such turns', async () => {
    const patient = { ...agentNamed('patient', (turn) => turn.reply('well?')), takesBlank: true };
    const turn = turnWith({ lock: heldBy('patient'), messages: said(' ') });
    expect(texts(await answer(turn, [patient]))).toEqual(['well?']);
  });

  it('is none as soon as one of its messages says something, or has a picture', async () => {
    const [blank] = said('');
    if (blank === undefined) throw new Error('no message');
    const picture = { ...blank, metadata: { kind: 'image', media: { id: '1' } } };
    for (const messages of [said('', 'hello'), [picture]]) {
      const outcome = await answer(turnWith({ lock: heldBy('echo'), messages }), [echo]);
      expect(outcome.agent).toBe('echo');
    }
  });

  it('after a cancel is not answered beside it', async () => {
    const turn = turnWith({ lock: heldBy('echo'), messages: said('cancel', ' ') });
    expect(texts(await answer(turn, [echo]))).toEqual(['All right, cancelled.']);
  });
});

describe('media', () => {
  const file = { bytes: new Uint8Array([1, 2]), mimeType: 'image/jpeg' };
  const reader = agentNamed('reader', async (turn) => {
    const [message] = turn.messages;
    if (message === undefined) throw new Error('no message');
    const { bytes, mimeType } = await turn.media(message, { maxBytes: 7 });
    turn.reply(`${mimeType} ${bytes.length}`);
  });

  it('is fetched by the channel, with the message, the number it came to and the signal', async () => {
    const fetchMedia = vi.fn<NonNullable<Channel['fetchMedia']>>(async () => file);
    const channel: Channel = {
      split: (reply) => [reply],
      attend: () => () => {},
      send: ({ id }) => Promise.resolve({ id, status: 'sent' }),
      fetchMedia,
    };
    const turn = turnWith({ lock: heldBy('reader'), channel: 'whatsapp', account: '2000' });
    const { signal } = new AbortController();
    expect(texts(await answer(turn, [reader], { signal, channel }))).toEqual(['image/jpeg 2']);
    expect(fetchMedia.mock.calls).toEqual([[turn.messages[0], turn, signal, { maxBytes: 7 }]]);
  });

  it('is refused where the channel has none', async () => {
    const failing = answer(turnWith({ lock: heldBy('reader') }), [reader]);
    await expect(failing).rejects.toMatchObject({ name: 'MediaError', code: 'no_media' });
  });
});

describe('who answers', () => {
  it('is the holder of the lock', async () => {
    const outcome = await answer(turnWith({ lock: heldBy('echo') }), [echo]);
    expect(outcome.agent).toBe('echo');
    expect(outcome.replies).toEqual([{ content: 'echo: hello', metadata: {}, agent: 'echo' }]);
    expect(events).toEqual([]);
  });

  it('is the manager where nobody holds, and that takes no lock', async () => {
    const outcome = await answer(turnWith(), [echo]);
    expect(outcome).toEqual({
      agent: 'manager',
      replies: [{ content: 'the manager', metadata: {}, agent: 'manager' }],
      statePatch: null,
      lock: { do: 'keep' },
    });
  });

  it('is the manager where the holder is not known here, and the lock stays with its holder', async () => {
    const outcome = await answer(turnWith({ lock: heldBy('elsewhere') }), [echo]);
    expect(outcome).toMatchObject({ agent: 'manager', lock: { do: 'keep' } });
    expect(texts(outcome)).toEqual(['the manager']);
    expect(events).toMatchObject([
      { level: 'warn', event: 'agent_unknown', device_id: device, agent: 'elsewhere' },
    ]);
  });

  it('is given the messages in their order, what was said before, and where it stands', async () => {
    const seen: Pick<
      AgentTurn<JsonObject>,
      'messages' | 'text' | 'history' | 'channel' | 'deviceId' | 'sessionId'
    >[] = [];
    const turn = turnWith({
      lock: heldBy('watch'),
      messages: said('one', 'two'),
      history: said('before'),
      channel: 'whatsapp',
    });
    await answer(turn, [
      agentNamed(
        'watch',
        ({ messages, text, history, channel, deviceId, sessionId }) =>
          void seen.push({ messages, text, history, channel, deviceId, sessionId }),
      ),
    ]);
    expect(seen).toEqual([
      {
        messages: turn.messages,
        text: 'one\ntwo',
        history: turn.history,
        channel: 'whatsapp',
        deviceId: device,
        sessionId: turn.sessionId,
      },
    ]);
  });
});

describe('the lock', () => {
  it('is renewed for as long as the holding was taken for', async () => {
    const outcome = await answer(turnWith({ lock: heldBy('echo', 90) }), [echo]);
    expect(outcome.lock).toEqual({ do: 'set', agent: 'echo', ttl: 90 });
  });

  it("is taken for the agent's own TTL, else for the deployment's", async () => {
    const manager = agentNamed('manager', (turn) => turn.handOff(turn.text));
    const brief = agentNamed('brief', (turn) => turn.reply('hi'), { ttlSeconds: 300 });
    const toBrief = await answer(turnWith({ messages: said('brief') }), [brief, echo], { manager });
    const toEcho = await answer(turnWith({ messages: said('echo') }), [brief, echo], { manager });
    expect(toBrief.lock).toEqual({ do: 'set', agent: 'brief', ttl: 300 });
    expect(toEcho.lock).toEqual({ do: 'set', agent: 'echo', ttl: defaultTtl });
  });

  it('ends with end(), whatever was said', async () => {
    const outcome = await answer(turnWith({ lock: heldBy('done') }), [
      agentNamed('done', (turn) => {
        turn.end();
        turn.reply('bye');
      }),
    ]);
    expect(outcome).toMatchObject({ agent: 'done', lock: { do: 'clear' } });
    expect(texts(outcome)).toEqual(['bye']);
  });
});

describe('handOff', () => {
  it('lets the next agent answer the same messages in the same turn, and hold from then on', async () => {
    const manager = agentNamed('manager', (turn) => {
      turn.reply('one moment');
      turn.handOff('echo');
    });
    const outcome = await answer(turnWith({ messages: said('a', 'b') }), [echo], { manager });
    expect(outcome.agent).toBe('echo');
    expect(outcome.replies.map(({ agent, content }) => [agent, content])).toEqual([
      ['manager', 'one moment'],
      ['echo', 'echo: a\nb'],
    ]);
    expect(outcome.lock).toEqual({ do: 'set', agent: 'echo', ttl: defaultTtl });
  });

  it('from one holder to another moves the lock', async () => {
    const first = agentNamed('first', (turn) => turn.handOff('echo'));
    const outcome = await answer(turnWith({ lock: heldBy('first', 90) }), [first, echo]);
    expect(outcome.lock).toEqual({ do: 'set', agent: 'echo', ttl: defaultTtl });
    expect(texts(outcome)).toEqual(['echo: hello']);
  });

  it('back to the manager lets go, and the manager answers', async () => {
    const first = agentNamed('first', (turn) => turn.handOff('manager'));
    const outcome = await answer(turnWith({ lock: heldBy('first') }), [first]);
    expect(outcome).toMatchObject({ agent: 'manager', lock: { do: 'clear' } });
    expect(texts(outcome)).toEqual(['the manager']);
  });

  it('to a person gives the lock to human, and no code answers any more', async () => {
    const outcome = await answer(turnWith({ lock: heldBy('first') }), [
      agentNamed('first', (turn) => {
        turn.reply('I am passing you on');
        turn.handOff('human');
      }),
      echo,
    ]);
    expect(outcome).toMatchObject({
      agent: 'first',
      lock: { do: 'set', agent: 'human', ttl: defaultTtl },
    });
    expect(texts(outcome)).toEqual(['I am passing you on']);
  });

  it('to a name nobody has throws at the agent that said it', async () => {
    const lost = agentNamed('lost', (turn) => turn.handOff('nobody'));
    await expect(answer(turnWith({ lock: heldBy('lost') }), [lost])).rejects.toThrow(
      'no agent is called "nobody"',
    );
  });

  it('is bounded: two that pass each other on and on stop, and the last one named has the lock', async () => {
    const called: string[] = [];
    const passing = (key: string, to: string) =>
      agentNamed(key, (turn) => {
        called.push(key);
        turn.reply(key);
        turn.handOff(to);
      });
    const outcome = await answer(turnWith({ lock: heldBy('ping') }), [
      passing('ping', 'pong'),
      passing('pong', 'ping'),
    ]);
    expect(called).toEqual(['ping', 'pong', 'ping', 'pong', 'ping', 'pong']);
    expect(texts(outcome)).toEqual(called);
    expect(outcome.lock).toEqual({ do: 'set', agent: 'ping', ttl: defaultTtl });
    expect(events).toMatchObject([{ level: 'warn', event: 'handoff_limit', device_id: device }]);
  });

  it('and end(): the last word counts', async () => {
    const undecided = agentNamed('undecided', (turn) => {
      turn.handOff('echo');
      turn.end();
    });
    expect(await answer(turnWith({ lock: heldBy('undecided') }), [undecided, echo])).toMatchObject({
      agent: 'undecided',
      lock: { do: 'clear' },
    });
  });
});

describe.each(['cancel', 'Start over, please!'])('"%s"', (words) => {
  it('ends the hold of any agent, which forgets what it noted down', async () => {
    const outcome = await answer(
      turnWith({
        lock: heldBy('echo'),
        messages: said(words),
        state: { echo: { a: 1 }, other: { b: 1 } },
      }),
      [echo],
    );
    expect(outcome).toEqual({
      agent: 'manager',
      replies: [{ content: 'All right, cancelled.', metadata: {}, agent: 'manager' }],
      statePatch: { echo: null },
      lock: { do: 'clear' },
    });
  });

  it('ends the hold of an agent that is not known here, and touches no state', async () => {
    const outcome = await answer(
      turnWith({
        lock: heldBy('elsewhere'),
        messages: said(words),
        state: { elsewhere: { a: 1 } },
      }),
      [echo],
    );
    expect(outcome).toMatchObject({ lock: { do: 'clear' }, statePatch: null });
  });

  it('lets the agent decide what it forgets', async () => {
    const keeper = agentNamed('keeper', () => {}, {
      cancel: (turn) => turn.setState({ draft: null }),
    });
    const state = { keeper: { draft: 'x', kept: 'y' } };
    const outcome = await answer(
      turnWith({ lock: heldBy('keeper'), messages: said(words), state }),
      [keeper],
    );
    expect(outcome.statePatch).toEqual({ keeper: { draft: null } });
  });

  it('is an ordinary message where nobody holds', async () => {
    const outcome = await answer(turnWith({ messages: said(words) }), [echo]);
    expect(texts(outcome)).toEqual(['the manager']);
    expect(outcome.lock).toEqual({ do: 'keep' });
  });

  it('among several messages: what came before it is not answered, what follows goes to the manager', async () => {
    const manager = agentNamed('manager', (turn) => turn.reply(`asked: ${turn.text}`));
    const called = vi.fn();
    const turn = turnWith({
      lock: heldBy('busy'),
      messages: said('tomorrow', words, 'and now', 'for something else'),
    });
    const outcome = await answer(turn, [agentNamed('busy', called)], { manager });
    expect(called).not.toHaveBeenCalled();
    expect(texts(outcome)).toEqual(['All right, cancelled.', 'asked: and now\nfor something else']);
    expect(outcome.lock).toEqual({ do: 'clear' });
  });

  it('said twice in a turn is heard once, and what stands between is not answered', async () => {
    const turn = turnWith({ lock: heldBy('echo'), messages: said(words, 'or no', words) });
    const outcome = await answer(turn, [echo]);
    expect(texts(outcome)).toEqual(['All right, cancelled.']);
    expect(outcome.lock).toEqual({ do: 'clear' });
  });

  it('and a new wish in the same turn: whom the manager passes it to holds', async () => {
    const manager = agentNamed('manager', (turn) => turn.handOff('echo'));
    const turn = turnWith({ lock: heldBy('busy'), messages: said(words, 'hey') });
    const outcome = await answer(turn, [agentNamed('busy', () => {}), echo], { manager });
    expect(texts(outcome)).toEqual(['All right, cancelled.', 'echo: hey']);
    expect(outcome.lock).toEqual({ do: 'set', agent: 'echo', ttl: defaultTtl });
  });
});

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
    const stored = mergePatch(turn.state, JSON.parse(JSON.stringify(statePatch)) as JsonObject) as {
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

describe('reply', () => {
  it('keeps the order, the name of who said it, and what belongs to it', async () => {
    const first = agentNamed('first', (turn) => {
      turn.reply('1', { source: 'a' });
      turn.reply('2');
      turn.handOff('second');
      turn.reply('3');
    });
    const second = agentNamed('second', async (turn) => {
      await Promise.resolve();
      turn.reply('4');
    });
    const outcome = await answer(turnWith({ lock: heldBy('first') }), [first, second]);
    expect(outcome.replies).toEqual([
      { content: '1', metadata: { source: 'a' }, agent: 'first' },
      { content: '2', metadata: {}, agent: 'first' },
      { content: '3', metadata: {}, agent: 'first' },
      { content: '4', metadata: {}, agent: 'second' },
    ]);
  });

  it('loses only what cannot be stored', async () => {
    const outcome = await answer(turnWith({ lock: heldBy('odd') }), [
      agentNamed('odd', (turn) => turn.reply(' a\u0000b \ud83d ')),
    ]);
    expect(texts(outcome)).toEqual([' ab \ufffd ']);
  });

  it.each(['', ' ', '\n\t\u00a0', '\u0000', ' \u0000\n'])(
    'of nothing (%j) throws',
    async (text) => {
      const mute = agentNamed('mute', (turn) => turn.reply(text));
      await expect(answer(turnWith({ lock: heldBy('mute') }), [mute])).rejects.toThrow(
        'text: needs a text',
      );
    },
  );

  it('with metadata that cannot be stored throws', async () => {
    const odd = agentNamed('odd', (turn) => turn.reply('x', { a: '\u0000' }));
    await expect(answer(turnWith({ lock: heldBy('odd') }), [odd])).rejects.toMatchObject({
      code: 'unstorable_text',
    });
  });

  it('is taken a hundred times in a turn, of all its agents together, and not once more', async () => {
    const half = agentNamed('half', (turn) => {
      for (let i = 0; i < 50; i++) turn.reply('x');
      turn.handOff('rest');
    });
    const rest = (replies: number) =>
      agentNamed('rest', (turn) => {
        for (let i = 0; i < replies; i++) turn.reply('y');
      });
    const turn = turnWith({ lock: heldBy('half') });
    expect((await answer(turn, [half, rest(50)])).replies).toHaveLength(100);
    await expect(answer(turn, [half, rest(51)])).rejects.toThrow('a turn may hold 100 replies');
  });
});

describe('an agent that fails', () => {
  it.each<[string, () => Promise<void> | void]>([
    [
      'at once',
      () => {
        throw new RangeError('the model is away');
      },
    ],
    ['later', () => Promise.reject(new RangeError('the model is away'))],
  ])('%s ends the turn with its own error', async (_, failing) => {
    await expect(
      answer(turnWith({ lock: heldBy('broken') }), [agentNamed('broken', failing)]),
    ).rejects.toThrow(RangeError);
  });
});

describe('the signal', () => {
  /** An agent that waits until somebody lets it go on; `turn` is what it still has in its hands. */
  function waiting() {
    const begun = Promise.withResolvers<AgentTurn<JsonObject>>();
    const released = Promise.withResolvers<void>();
    const agent = agentNamed('slow', async (turn) => {
      turn.reply('one moment');
      begun.resolve(turn);
      await released.promise;
    });
    return { agent, begun: begun.promise, release: released.resolve };
  }

  it('ends the wait for an agent that does not come back, with its own reason', async () => {
    const { agent, begun } = waiting();
    const controller = new AbortController();
    const outcome = answer(turnWith({ lock: heldBy('slow') }), [agent], {
      signal: controller.signal,
    });
    const turn = await begun;
    expect(turn.signal.aborted).toBe(false);
    const reason = new Error('the time is up');
    controller.abort(reason);
    await expect(outcome).rejects.toBe(reason);
    expect(turn.signal.aborted).toBe(true);
  });

  it('that has ended before asks no agent any more', async () => {
    const called = vi.fn();
    const reason = new Error('lost');
    await expect(
      answer(turnWith({ lock: heldBy('any') }), [agentNamed('any', called)], {
        signal: AbortSignal.abort(reason),
      }),
    ).rejects.toBe(reason);
    expect(called).not.toHaveBeenCalled();
  });

  it('that ends between two agents keeps the second from being asked', async () => {
    const controller = new AbortController();
    const first = agentNamed('first', (turn) => {
      turn.handOff('second');
      controller.abort(new Error('lost'));
    });
    const called = vi.fn();
    await expect(
      answer(turnWith({ lock: heldBy('first') }), [first, agentNamed('second', called)], {
        signal: controller.signal,
      }),
    ).rejects.toThrow('lost');
    expect(called).not.toHaveBeenCalled();
  });

  it('leaves an abandoned agent nothing to say: each late call throws', async () => {
    const { agent, begun, release } = waiting();
    const controller = new AbortController();
    const state = { slow: { a: 1 } };
    const outcome = answer(turnWith({ lock: heldBy('slow'), state }), [agent], {
      signal: controller.signal,
    });
    const turn = await begun;
    controller.abort(new Error('lost'));
    await expect(outcome).rejects.toThrow('lost');
    for (const late of [
      () => turn.reply('late'),
      () => turn.setState({ a: 2 }),
      () => turn.handOff('human'),
      () => turn.end(),
    ]) {
      expect(late).toThrow('the turn is over');
    }
    expect(turn.state).toEqual({ a: 1 });
    expect(state).toEqual({ slow: { a: 1 } });
    release();
  });

  it('is not needed for that: what an agent left running when it returned changes nothing either', async () => {
    const kept: AgentTurn<JsonObject>[] = [];
    const hasty = agentNamed('hasty', (turn) => {
      kept.push(turn);
      turn.reply('done');
    });
    const outcome = await answer(turnWith({ lock: heldBy('hasty') }), [hasty]);
    for (const turn of kept) {
      expect(() => turn.reply('one more thing')).toThrow('the turn is over');
      expect(() => turn.setState({ a: 1 })).toThrow('the turn is over');
    }
    expect(kept).toHaveLength(1);
    expect(outcome).toMatchObject({ replies: [{ content: 'done' }], statePatch: null });
  });

  it('leaves nothing behind on a signal that outlives the turn', async () => {
    const controller = new AbortController();
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    await answer(turnWith(), [], { manager: plainManager, signal: controller.signal });
    expect(add.mock.calls.map(([name, listener]) => [name, listener])).toEqual(
      remove.mock.calls.map(([name, listener]) => [name, listener]),
    );
    expect(add).toHaveBeenCalled();
  });
});
