import { expect } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { type Harness, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';

const ways = (h: Harness) => ({
  setAside: async (device: DeviceId, ...contents: string[]) => {
    await h.storage.accept(
      contents.map((content) => message(device, { content, metadata: { k: content } })),
      terms({ maxTurns: 0 }),
    );
    for (let attempt = 1; attempt <= 3; attempt++) {
      const [turn] = (await h.storage.next([device], terms())).turns;
      if (turn === undefined) throw new Error('the turn was not free');
      await h.storage.fail(device, turn.fence, 'TypeError');
      await h.shift(device, { turn: 0 });
    }
  },
});

/** Messages whose turn failed too often. */
export const setAsideCases = {
  'is listed oldest first, of one device or of all, page by page, with its error': async (h) => {
    const { setAside } = ways(h);

    const [one, two] = [newDevice(), newDevice()];
    await setAside(one, 'a', 'b');
    await setAside(two, 'c');
    const first = await h.storage.listFailed(one, null, 1);
    expect(first.messages).toMatchObject([
      { device: one, content: 'a', attempts: 3, error: 'TypeError', metadata: { k: 'a' } },
    ]);
    const after = first.messages[0]?.id ?? '';
    const rest = await h.storage.listFailed(one, after, 10);
    expect(rest.messages.map(({ content }) => content)).toEqual(['b']);
    const all = await h.storage.listFailed(null, after, 10);
    expect(all.messages.map(({ content }) => content)).toEqual(['b', 'c']);
    expect(await h.storage.listFailed(newDevice(), null, 10)).toMatchObject({ messages: [] });
    await h.storage.retryFailed(null, 100);
  },

  'waits again with all its tries, and only on the device that was asked for': async (h) => {
    const { setAside } = ways(h);

    const [one, two] = [newDevice(), newDevice()];
    await setAside(one, 'a', 'b', 'c');
    await setAside(two, 'd');
    expect(await h.storage.retryFailed(one, 2)).toMatchObject({ retried: 2, more: true });
    expect(await h.storage.retryFailed(one, 2)).toMatchObject({ retried: 1, more: false });
    expect(await h.messages(one)).toMatchObject(
      ['a', 'b', 'c'].map((content) => ({ content, status: 'waiting', attempts: 0 })),
    );
    expect((await h.storage.next([one], terms())).turns[0]?.messages).toHaveLength(3);
    expect((await h.storage.listFailed(null, null, 10)).messages).toMatchObject([{ device: two }]);
    await h.storage.retryFailed(null, 100);
  },

  'enters the history where a person holds the conversation by now': async (h) => {
    const { setAside } = ways(h);

    const device = newDevice();
    await setAside(device, 'a');
    await h.storage.setLock(device, { agent: 'human', ttlSeconds: 60 }, { kind: 'none' });
    await h.storage.retryFailed(device, 10);
    expect(await h.messages(device)).toMatchObject([{ content: 'a', status: 'recorded', seq: 1 }]);
  },

  'put back while its device is at work is answered after what is in hand': async (h) => {
    const { setAside } = ways(h);

    const device = newDevice();
    await setAside(device, 'a');
    const turn = await take(h.storage, device, { content: 'now' });
    await h.storage.retryFailed(device, 10);
    expect(turn.messages.map(({ content }) => content)).toEqual(['now']);
    expect((await h.messages(device)).map(({ status }) => status)).toEqual(['waiting', 'waiting']);
  },
} satisfies Cases;
