import { describe, expect, it, vi } from 'vitest';
import { type AgentTurn } from '../../../lib/agents/agent.ts';
import type { Channel } from '../../../lib/channels/channel.ts';
import type { JsonObject } from '../../../lib/json.ts';
import { agentNamed, answer, heldBy, plainManager, texts, turnWith } from '../../support/turns.ts';

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
