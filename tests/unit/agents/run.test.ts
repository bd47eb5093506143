import { describe, expect, it } from 'vitest';
import { type AgentTurn } from '../../../lib/agents/agent.ts';
import type { JsonObject } from '../../../lib/json.ts';
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
