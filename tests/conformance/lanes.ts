import { expect } from 'vitest';
import type { Fence } from '../../lib/storage/storage.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf, recoverFor, retake } from './ways.ts';

/** The two lanes of a device: this deployment's agents, and workers elsewhere. */
export const laneCases = {
  'share one turn, and each side sees its own messages only': async (h) => {
    const device = newDevice();
    const builtin = await take(h.storage, device, { content: 'for the agents' });
    const [external] = await h.storage.accept(
      [message(device, { content: 'for the worker', channel: 'api' })],
      terms({ lane: 'external' }),
    );
    expect(external).toMatchObject({ turn: null, waiting: true });
    expect((await commit(h.storage, builtin, commitOf('a'))).turn).toBeNull();
    expect(await retake(h, device)).toBeUndefined();
    const [turn] = (await h.storage.next([device], terms({ lane: 'external' }))).turns;
    expect(contentsOf(turn)).toEqual(['for the worker']);
    expect(turn?.history).toEqual([]);
  },

  'refuse each other’s fences': async (h) => {
    const device = newDevice();
    const { fence } = await take(h.storage, device, {}, 'external');
    expect((await h.storage.commit(device, fence, 'builtin', commitOf('x'), 1)).outcome).toBe(
      'lost',
    );
    expect(await h.storage.extend(device, fence, 'builtin', 60_000)).toBeNull();
    expect(await h.storage.giveBack(device, fence, 'builtin')).toBe(false);
    const unknown = '0' as Fence;
    expect((await h.storage.commit(device, unknown, 'external', commitOf('x'), 1)).outcome).toBe(
      'lost',
    );
    expect(await h.storage.giveBack(device, fence, 'external')).toBe(true);
  },

  'keep their histories apart, and number them together': async (h) => {
    const device = newDevice();
    const say = async (content: string, lane: 'builtin' | 'external') => {
      const turn = await take(h.storage, device, { content, channel: lane }, lane);
      await commit(h.storage, turn, commitOf(`re: ${content}`), lane);
      return turn.history.map((message) => message.content);
    };
    await say('one', 'builtin');
    await say('two', 'external');
    expect(await say('three', 'builtin')).toEqual(['one', 're: one']);
    expect(await say('four', 'external')).toEqual(['two', 're: two']);
    expect((await h.messages(device)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  },

  'recover for the agents alone: nobody here answers what a worker elsewhere let fall': async (
    h,
  ) => {
    const device = newDevice();
    const turn = await take(h.storage, device, {}, 'external');
    await h.shift(device, { turn: 0 });
    expect(await recoverFor(h, device)).toBeUndefined();
    expect((await commit(h.storage, turn, commitOf('late'), 'external')).outcome).toBe('committed');
  },

  'count one failure each: a lease that lapsed on one is taken by the other': async (h) => {
    const device = newDevice();
    await take(h.storage, device, { content: 'for the worker' }, 'external');
    await h.shift(device, { turn: 0 });
    const turn = await take(h.storage, device, { content: 'for the agents' });
    expect(contentsOf(turn)).toEqual(['for the agents']);
    expect(await h.messages(device)).toMatchObject([
      { content: 'for the worker', attempts: 1, error: 'lease_expired', status: 'waiting' },
      { content: 'for the agents', attempts: 0 },
    ]);
  },

  'do not take an answer from each other: a commit sent again finds itself written': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device, {}, 'external');
    await commit(h.storage, turn, commitOf('a'), 'external');
    await take(h.storage, device, { content: 'for the agents' });
    const again = await h.storage.commit(device, turn.fence, 'external', commitOf('a'), 60_000);
    expect(again).toMatchObject({ outcome: 'committed', turn: null, replies: [{ content: 'a' }] });
  },
} satisfies Cases;
