import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { commit, commitOf, newDevice } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { anybody, begin, exported, takeIn, talk, textsOf } from './chat.ts';

const MEBIBYTE = 1_048_576;

/** What was said in chat sessions, read in pages and exported in parts. */
export const chatHistoryCases = {
  'reads a history from its end, page before page': async (h) => {
    const { id } = await begin(h);
    for (const i of [1, 2, 3]) await talk(h, id, `q${i}`, `a${i}`);
    await takeIn(h, id, { content: 'waits' });
    const seen = [];
    for (let before: string | null = null; ;) {
      const { history } = await h.storage.readHistory(id, anybody, before, 4);
      if (history === null) throw new Error('the session is gone');
      seen.push([history.total, history.messages.map(({ content }) => content).join(' ')]);
      before = history.older;
      if (before === null) break;
    }
    expect(seen).toEqual([
      [6, 'q2 a2 q3 a3'],
      [6, 'q1 a1'],
    ]);
  },

  'reads an empty history, and one that ends with a page': async (h) => {
    const { id } = await begin(h);
    expect((await h.storage.readHistory(id, anybody, null, 2)).history).toEqual({
      messages: [],
      total: 0,
      older: null,
    });
    await talk(h, id, 'q', 'a');
    expect((await h.storage.readHistory(id, anybody, null, 2)).history).toMatchObject({
      total: 2,
      older: null,
    });
  },

  'reads only what was said in the session, in the order of its commits': async (h) => {
    const device = newDevice();
    const [one, two] = [await begin(h, { device }), await begin(h, { device })];
    await talk(h, one.id, 'a', 'b');
    await talk(h, two.id, 'c', 'd');
    await talk(h, one.id, 'e', 'f');
    const texts = async (id: string) =>
      (await h.storage.readHistory(id, anybody, null, 10)).history?.messages.map(
        ({ role, content, agent }) => [role, content, agent],
      );
    expect(await texts(one.id)).toEqual([
      ['user', 'a', null],
      ['assistant', 'b', 'manager'],
      ['user', 'e', null],
      ['assistant', 'f', 'manager'],
    ]);
    expect(await texts(two.id)).toHaveLength(2);
  },

  'reads pages of about four mebibytes': async (h) => {
    const { id } = await begin(h);
    const big = (letter: string, size: number) => letter.repeat(size * MEBIBYTE);
    const sizes = [1, 2, 1.5, 5];
    for (const size of sizes) await talk(h, id, big('x', size));
    const seen = [];
    for (let before: string | null = null; ;) {
      const { history } = await h.storage.readHistory(id, anybody, before, 10);
      seen.push(history?.messages.map(({ content }) => content.length / MEBIBYTE));
      before = history?.older ?? null;
      if (before === null) break;
    }
    expect(seen).toEqual([[5], [2, 1.5], [1]]);
  },

  'exports a session in parts, and a user’s sessions one after the other': async (h) => {
    const user = randomUUID();
    const device = newDevice();
    const one = await begin(h, { user, device });
    await h.age(device, 60_000); // two that begin in one millisecond have no order
    const none = await begin(h, { user });
    await h.age(none.device, 30_000);
    const two = await begin(h, { user, device });
    await begin(h, { user: randomUUID(), device });
    await talk(h, one.id, 'a', 'b', 'c');
    await talk(h, two.id, 'd', 'e');
    await talk(h, one.id, 'f');
    const whole = [one.id, 'a', 'b', 'c', 'f'];
    const begun = [...whole, two.id, 'd', 'e'];
    for (const limit of [1, 2, 3, 5, 100]) {
      expect(textsOf(await exported(h, { session: one.id }, limit))).toEqual(whole);
      const all = textsOf(await exported(h, { user, device: null, includeExpired: false }, limit));
      expect(all.filter((text) => text !== none.id)).toEqual(begun);
      expect(all).toContain(none.id);
    }
    const ofDevice = await exported(h, { user: null, device, includeExpired: false }, 100);
    expect(ofDevice.filter((item) => 'session' in item)).toHaveLength(3);
    expect(await exported(h, { session: randomUUID() }, 100)).toEqual([]);
  },

  'exports parts of about a mebibyte, whatever their rows hold': async (h) => {
    const { id } = await begin(h);
    const large = 'x'.repeat(MEBIBYTE / 2);
    const turn = await takeIn(h, id, { content: large });
    await commit(h.storage, turn, commitOf(large, large, large));
    const part = await h.storage.readExport({ session: id }, null, 100);
    expect(part.length).toBeLessThan(5);
    expect(textsOf(await exported(h, { session: id }, 100))).toEqual([
      id,
      large,
      large,
      large,
      large,
    ]);
  },
} satisfies Cases;
