import { expect } from 'vitest';
import type { Guard } from '../../lib/storage/storage.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf, recoverFor, retake } from './ways.ts';

const free: Guard = { kind: 'none' };
const toHuman = { agent: 'human', ttlSeconds: 60 };

/** A person has taken over: no code answers. */
export const humanCases = {
  'takes the turn from a worker that has not committed, and its reply is never written': async (
    h,
  ) => {
    for (const lane of ['builtin', 'external'] as const) {
      const device = newDevice();
      const turn = await take(h.storage, device, { content: 'help' }, lane);
      await h.storage.setLock(device, toHuman, free);
      expect(
        (await h.storage.commit(device, turn.fence, lane, commitOf('late'), 60_000)).outcome,
      ).toBe('lost');
      expect(await h.storage.extend(device, turn.fence, lane, 60_000)).toBeNull();
      expect(await h.storage.giveBack(device, turn.fence, lane)).toBe(false);
      expect(await h.storage.fail(device, turn.fence, 'Error')).toBeNull();
      expect(
        (await h.messages(device)).map(({ content, status, seq }) => [content, status, seq]),
      ).toEqual([['help', 'recorded', 1]]);
    }
  },

  'puts what comes in, on either lane, into the history at once, and code never answers it, not later either':
    async (h) => {
      const device = newDevice();
      await h.storage.setLock(device, toHuman, free);
      for (const lane of ['builtin', 'external'] as const) {
        const [accepted] = await h.storage.accept(
          [message(device, { channel: lane })],
          terms({ lane }),
        );
        expect(accepted).toMatchObject({
          turn: null,
          waiting: false,
          messages: [{ status: 'recorded', duplicate: false }],
        });
      }
      await h.storage.clearLock(device, free);
      expect(await retake(h, device)).toBeUndefined();
      expect((await h.storage.next([device], terms({ lane: 'external' }))).turns).toEqual([]);
      expect(await recoverFor(h, device)).toBeUndefined();
      const turn = await take(h.storage, device, { content: 'after', channel: 'builtin' });
      expect(contentsOf(turn)).toEqual(['after']);
      expect((await h.messages(device)).map(({ status, seq }) => [status, seq])).toEqual([
        ['recorded', 1],
        ['recorded', 2],
        ['waiting', null],
      ]);
    },

  'is over when its time is: the next message is answered, what was recorded is its history':
    async (h) => {
      const device = newDevice();
      await h.storage.setLock(device, toHuman, free);
      await h.storage.accept([message(device, { content: 'to the person' })], terms());
      await h.shift(device, { lock: 0 });
      const turn = await take(h.storage, device, { content: 'to the code' });
      expect(contentsOf(turn)).toEqual(['to the code']);
      expect(turn.history.map(({ content }) => content)).toEqual(['to the person']);
    },

  'is told a redelivery as it was told the first copy': async (h) => {
    const device = newDevice();
    await h.storage.setLock(device, toHuman, free);
    const once = message(device);
    await h.storage.accept([once], terms());
    const [again] = await h.storage.accept([once], terms());
    expect(again).toMatchObject({
      turn: null,
      messages: [{ status: 'recorded', duplicate: true }],
    });
    expect(await h.messages(device)).toHaveLength(1);
  },

  'lets a worker that has committed settle what it is sending': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const committed = await commit(h.storage, turn, { ...commitOf('one'), deliver: true });
    await h.storage.setLock(device, toHuman, free);
    const deliveries = committed.replies.map(({ id }) => ({
      id,
      status: 'sent' as const,
      externalId: 'wamid.1',
    }));
    expect(await h.storage.settle(device, turn.fence, deliveries, 60_000)).toMatchObject({
      turn: null,
    });
    expect((await h.messages(device)).map(({ status }) => status)).toEqual(['answered', 'sent']);
  },

  'set by a commit sends what waits into the history, and the reply out': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.accept([message(device, { content: 'second' })], terms());
    const result = await commit(h.storage, turn, {
      ...commitOf('bye'),
      deliver: true,
      lock: { do: 'set', agent: 'human', ttl: 60 },
    });
    expect(result).toMatchObject({ turn: null, deliver: true, lock: { agent: 'human' } });
    expect((await h.messages(device)).map(({ status, seq }) => [status, seq])).toEqual([
      ['answered', 1],
      ['sending', 2],
      ['recorded', 3],
    ]);
    expect(
      (await h.storage.readAnswer(device, 'web', turn.messages[0]?.messageId ?? '')).message,
    ).toMatchObject({ holder: 'human' });
  },

  'ends the wait for another try of a turn that failed': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    await h.storage.fail(device, turn.fence, 'Error');
    await h.storage.setLock(device, toHuman, free);
    await h.storage.clearLock(device, free);
    expect(await retake(h, device)).toBeUndefined();
    expect(contentsOf(await take(h.storage, device, { content: 'next' }))).toEqual(['next']);
  },

  'extended by the person takes nothing a second time': async (h) => {
    const device = newDevice();
    const first = await h.storage.setLock(device, toHuman, free);
    await h.storage.accept([message(device)], terms());
    const second = await h.storage.setLock(device, { ...toHuman, ttlSeconds: 600 }, free);
    if (!first.written || !second.written) throw new Error('not written');
    expect(second.lock.version).toBe(first.lock.version);
    expect((await h.messages(device)).map(({ seq }) => seq)).toEqual([1]);
  },

  'counts what it records in the session': async (h) => {
    const device = newDevice();
    await h.storage.setLock(device, toHuman, free);
    await h.storage.accept([message(device), message(device)], terms());
    expect(await h.sessions(device)).toMatchObject([{ messageCount: 2, complete: false }]);
  },
} satisfies Cases;
