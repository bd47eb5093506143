import { expect } from 'vitest';
import { commit, commitOf, message, newDevice, terms, time } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { begin, patch, refusalOf, takeIn, toSession } from './chat.ts';
import { contentsOf } from './ways.ts';

/** Messages to chat sessions: which are taken, and which are known again. */
export const chatMessageCases = {
  'tells two messages apart that carry the same id in two sessions of a device': async (h) => {
    const device = newDevice();
    const [one, two] = [await begin(h, { device }), await begin(h, { device })];
    const turn = await takeIn(h, one.id, { externalId: '1', content: 'in one' });
    await commit(h.storage, turn, commitOf('to one'));
    const other = await takeIn(h, two.id, { externalId: '1', content: 'in two' });
    expect(contentsOf(other)).toEqual(['in two']);
    await commit(h.storage, other, commitOf('to two'));
    for (const [{ id }, text] of [
      [one, 'one'],
      [two, 'two'],
    ] as const) {
      const answer = await h.storage.readAnswer(device, 'chat', '1', id);
      expect(answer).toMatchObject({
        message: { sessionId: id, content: `in ${text}`, status: 'answered' },
        replies: [{ content: `to ${text}`, answers: ['1'] }],
      });
    }
  },

  'knows a message again while it lives, also complete, and not once it is over': async (h) => {
    const { id, device } = await begin(h);
    const said = toSession(id, { externalId: '1' });
    const [first] = await h.storage.accept([said], terms());
    if (first?.turn == null) throw new Error('the turn was not free');
    await commit(h.storage, first.turn, commitOf('a'));
    await patch(h, id, {}, { complete: true });
    expect(await h.storage.accept([said], terms())).toMatchObject([
      { refused: [], messages: [{ duplicate: true, status: 'answered' }] },
    ]);
    await h.age(device, time.day);
    expect(await refusalOf(h, id, { externalId: '1' })).toBe('session_not_found');
  },

  'refuses a message where too many of the device wait, and stores those of who does not ask':
    async (h) => {
      const { id, device } = await begin(h);
      const turn = await takeIn(h, id, { maxWaiting: 2 });
      expect(await refusalOf(h, id, { maxWaiting: 2 })).toBeUndefined();
      expect(await refusalOf(h, id, { maxWaiting: 2 })).toBe('rate_limited');
      const other = message(device, { maxWaiting: 2 });
      expect((await h.storage.accept([other], terms()))[0]?.refused).toEqual([
        { index: 0, reason: 'rate_limited' },
      ]);
      const channel = message(device, { channel: 'whatsapp' });
      expect((await h.storage.accept([channel], terms()))[0]?.refused).toEqual([]);
      expect(await h.messages(device)).toHaveLength(3);
      const kept = (await commit(h.storage, turn, commitOf('a'))).turn;
      if (kept === null) throw new Error('the turn was not kept');
      await commit(h.storage, kept, commitOf('b'));
      expect(await refusalOf(h, id, { maxWaiting: 2 })).toBeUndefined();
    },
} satisfies Cases;
