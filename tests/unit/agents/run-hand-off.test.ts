import { describe, expect, it, vi } from 'vitest';
import { captureLog } from '../../support/logged.ts';
import {
  agentNamed,
  answer,
  defaultTtl,
  device,
  heldBy,
  said,
  texts,
  turnWith,
} from '../../support/turns.ts';

const events = captureLog();
const echo = agentNamed('echo', (turn) => turn.reply(`echo: ${turn.text}`));

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
