import { expect } from 'vitest';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { retake, toSend } from './ways.ts';

/** What became of a message, asked by its own id. */
export const answerCases = {
  'is nothing, then that it waits, then the replies and what they answer': async (h) => {
    const device = newDevice();
    expect(await h.storage.readAnswer(device, 'web', 'q')).toMatchObject({
      message: null,
      free: true,
    });
    const turn = await take(h.storage, device, { externalId: 'q' });
    expect(await h.storage.readAnswer(device, 'web', 'q')).toMatchObject({
      message: { status: 'waiting' },
      free: false,
      replies: [],
    });
    await commit(h.storage, turn, {
      ...commitOf('a', 'b'),
      lock: { do: 'set', agent: 'billing', ttl: 60 },
    });
    await commit(h.storage, await take(h.storage, device), commitOf('of another'));
    const answer = await h.storage.readAnswer(device, 'web', 'q');
    expect(answer).toMatchObject({
      message: {
        id: turn.messages[0]?.id,
        status: 'answered',
        sessionId: turn.sessionId,
        holder: 'billing',
      },
      free: true,
    });
    expect(answer.replies.map(({ content, answers }) => [content, answers])).toEqual([
      ['a', ['q']],
      ['b', ['q']],
    ]);
  },

  'is told to its own device and channel alone': async (h) => {
    const device = newDevice();
    await take(h.storage, device, { externalId: 'q' });
    expect((await h.storage.readAnswer(newDevice(), 'web', 'q')).message).toBeNull();
    expect((await h.storage.readAnswer(device, 'api', 'q')).message).toBeNull();
    const other = newDevice();
    await take(h.storage, other, { account: device, externalId: 'not mine' });
    expect((await h.storage.readAnswer(device, 'web', 'not mine')).message).toBeNull();
  },

  'names all the messages that a reply answers, in their order': async (h) => {
    const device = newDevice();
    const [accepted] = await h.storage.accept(
      [message(device, { externalId: 'one' }), message(device, { externalId: 'two' })],
      terms(),
    );
    if (accepted?.turn == null) throw new Error('the turn was not free');
    await commit(h.storage, accepted.turn, commitOf('both'));
    for (const id of ['one', 'two']) {
      const { replies } = await h.storage.readAnswer(device, 'web', id);
      expect(replies.map(({ answers }) => answers)).toEqual([['one', 'two']]);
    }
  },

  'names who held the conversation then, whoever holds it now': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device, { externalId: 'q' });
    await commit(h.storage, turn, {
      ...commitOf('a'),
      lock: { do: 'set', agent: 'billing', ttl: 60 },
    });
    await h.storage.setLock(device, { agent: 'scheduling', ttlSeconds: 60 }, { kind: 'none' });
    expect((await h.storage.readAnswer(device, 'web', 'q')).message?.holder).toBe('billing');
  },

  'tells when a message was set aside, or went to a person': async (h) => {
    const device = newDevice();
    await take(h.storage, device, { externalId: 'poison' });
    for (let i = 0; i < 3; i++) {
      await h.shift(device, { turn: 0 });
      await retake(h, device);
    }
    expect(await h.storage.readAnswer(device, 'web', 'poison')).toMatchObject({
      message: { status: 'failed', holder: null },
      replies: [],
      free: true,
    });
    await h.storage.setLock(device, { agent: 'human', ttlSeconds: 60 }, { kind: 'none' });
    await h.storage.accept([message(device, { externalId: 'help' })], terms());
    expect(await h.storage.readAnswer(device, 'web', 'help')).toMatchObject({
      message: { status: 'recorded', holder: 'human' },
      replies: [],
    });
  },

  'is there while its replies are still being sent': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device, { externalId: 'q' });
    await commit(h.storage, turn, toSend('a'));
    expect(await h.storage.readAnswer(device, 'web', 'q')).toMatchObject({
      message: { status: 'answered' },
      replies: [{ content: 'a' }],
      free: false,
    });
  },

  'says that the turn is free once its lease is over': async (h) => {
    const device = newDevice();
    await take(h.storage, device, { externalId: 'q' });
    await h.shift(device, { turn: 0 });
    expect((await h.storage.readAnswer(device, 'web', 'q')).free).toBe(true);
    await h.shift(device, { turn: 10_000 });
    expect((await h.storage.readAnswer(device, 'web', 'q')).free).toBe(false);
  },
} satisfies Cases;
