import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { FoundPage, FoundSession } from '../../lib/storage/storage.ts';
import { newDevice } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { anybody, begin, idsOf, pages, said, scope, search, takeIn, talk } from './chat.ts';

/** What was found, a line each, the hits in brackets. */
const shown = (sessions: FoundSession[]) =>
  sessions.flatMap(({ matches }) =>
    matches.map(({ snippet }) =>
      snippet.map(({ text, hit }) => (hit ? `[${text}]` : text)).join(''),
    ),
  );

/** Chat sessions found by what was said in them. */
export const chatSearchCases = {
  'finds words in any order and case, of questions and of answers, and nothing of other users':
    async (h) => {
      const user = randomUUID();
      const asked = await said(h, user, 'Where is my REFUND for the blue kettle?');
      const answered = await begin(h, { user });
      await talk(h, answered.id, 'well?', 'The kettle is refunded, the refund takes a week.');
      await said(h, randomUUID(), 'a refund for my kettle');
      await said(h, user, 'a kettle');
      const page = await search(h, 'kettle refund', { user });
      expect(page).toMatchObject({ total: 2, next: null });
      expect(idsOf(page)?.toSorted()).toEqual([asked.id, answered.id].toSorted());
      expect(await search(h, 'refun', { user })).toMatchObject({ total: 0, sessions: [] });
    },

  'finds phrases as they are, and leaves out what has a minus': async (h) => {
    const user = randomUUID();
    const bank = await said(h, user, 'refund to my bank account please');
    const account = await said(h, user, 'refund to the account of my bank');
    const paypal = await said(h, user, 'refund by paypal');
    const find = async (words: string) => idsOf(await search(h, words, { user }))?.toSorted();
    expect(await find('"bank account"')).toEqual([bank.id]);
    expect(await find('refund -paypal')).toEqual([bank.id, account.id].toSorted());
    expect(await find('refund -"bank account" -paypal')).toEqual([account.id]);
    expect(await find('paypal or "bank account"')).toEqual([bank.id, paypal.id].toSorted());
    expect(await find('-refund')).toEqual([]);
    expect(await find('-paypal')).toEqual([bank.id, account.id].toSorted());
  },

  'finds words whatever accents either side has, composed or not': async (h) => {
    const user = randomUUID();
    const texts = [
      ['Tôi muốn hoàn tiền đặt cọc', 'dat coc'],
      ['¿Dónde está la señal?', 'SEÑAL donde'],
      ['Die Größe paßt über Zürich', 'grosse passt uber zurich'],
      ['un café'.normalize('NFD'), 'café'],
      ['Łódź', 'lodz'],
    ] as const;
    for (const [text, words] of texts) {
      const { id } = await said(h, user, text);
      for (const some of [{ user }, {}]) {
        expect(idsOf(await search(h, words, some)), words).toContain(id);
        expect(idsOf(await search(h, text.normalize('NFD'), some)), text).toContain(id);
      }
    }
  },

  'finds what stands between slashes and in markup': async (h) => {
    const user = randomUUID();
    const { id } = await said(
      h,
      user,
      'refund/exchange? <b>urgent</b> https://x.example/order/4711',
    );
    for (const words of ['refund', 'exchange', 'urgent', 'refund/exchange', '4711', 'x.example'])
      expect(idsOf(await search(h, words, { user })), words).toEqual([id]);
  },

  'shows where the words are': async (h) => {
    const user = randomUUID();
    await said(h, user, 'On <em>Monday</em> & Tuesday: café/bar \u0002?\u0003');
    const page = await search(h, 'cafe monday', { user });
    expect(shown(page?.sessions ?? [])).toEqual(['On <em>[Monday]</em> & Tuesday: [café]/bar ?']);
  },

  'shows a piece of a long text with the words in it': async (h) => {
    const user = randomUUID();
    const long = `${'padding '.repeat(15_000)} needle ${'padding '.repeat(5_000)}`;
    await said(h, user, long);
    const [snippet] = shown((await search(h, 'needle', { user }))?.sessions ?? []);
    expect(snippet).toContain('[needle]');
    expect(snippet?.length).toBeLessThan(1_000);
  },

  'ranks: sessions that say more of it first, and in each the five messages that fit best': async (
    h,
  ) => {
    const user = randomUUID();
    const weak = await said(h, user, `lantern ${'other words '.repeat(50)}`);
    const strong = await said(h, user, 'lantern lantern lantern');
    const page = await search(h, 'lantern', { user });
    expect(idsOf(page)).toEqual([strong.id, weak.id]);
    for (let i = 0; i < 6; i++) await talk(h, weak.id, `lantern ${i} again and again`);
    await talk(h, weak.id, 'lantern lantern');
    const all = (await search(h, 'lantern', { user }))?.sessions;
    const found = all?.find((session) => session.id === weak.id);
    expect(found?.matches).toHaveLength(5);
    const { messages } = (await h.storage.readHistory(weak.id, anybody, null, 100)).history ?? {
      messages: [],
    };
    const best = messages.find(({ id }) => id === found?.matches[0]?.messageId);
    expect(best?.content).toBe('lantern lantern');
  },

  'searches in pages: each session once, in the order of one long page': async (h) => {
    const user = randomUUID();
    for (let i = 0; i < 7; i++) await said(h, user, `lantern ${'lantern '.repeat(i % 3)}`);
    const whole = await search(h, 'lantern', { user });
    const seen = await pages<FoundPage>(async (after) => {
      const page = await h.storage.searchSessions('lantern', scope({ user }), after, 3);
      if (page === null) throw new Error('the search was refused');
      return page;
    });
    expect(seen.map(({ sessions, total }) => [sessions.length, total])).toEqual([
      [3, 7],
      [3, 7],
      [1, 7],
    ]);
    expect(seen.flatMap((page) => idsOf(page))).toEqual(idsOf(whole));
  },

  'searches a device’s messages, and everybody’s': (_, open) =>
    on(open(), async (h) => {
      const device = newDevice();
      const one = await said(h, 'ann', 'lantern', device);
      const two = await said(h, 'ben', 'lantern');
      await h.storage.patchSession(two.id, null, { metadata: {}, complete: true }, 100);
      expect(idsOf(await search(h, 'lantern', { device }))).toEqual([one.id]);
      expect(await search(h, 'lantern', {})).toMatchObject({ total: 2 });
      expect(idsOf(await search(h, 'lantern', { active: true }))).toEqual([one.id]);
      expect(idsOf(await search(h, 'lantern', { active: false }))).toEqual([two.id]);
      await h.age(device, 3_600_000);
      expect(idsOf(await search(h, 'lantern', {}))).toEqual([two.id]);
    }),

  'finds nothing by words that are none, and refuses to look for everything but a word': async (
    h,
  ) => {
    await said(h, randomUUID(), 'lantern');
    for (const words of ['', '!?', '🙂', '"'])
      expect(await search(h, words, {})).toMatchObject({ total: 0, sessions: [], next: null });
    expect(await search(h, '-lantern', {})).toBeNull();
    expect(await search(h, "x' OR 1=1; --", {})).toMatchObject({ total: 0 });
  },

  'finds what waits for its answer, and nothing that was deleted': async (h) => {
    const user = randomUUID();
    const { id } = await begin(h, { user });
    await takeIn(h, id, { content: 'lantern' });
    expect(idsOf(await search(h, 'lantern', { user }))).toEqual([id]);
    await h.storage.deleteSession(id, anybody);
    expect(await search(h, 'lantern', { user })).toMatchObject({ total: 0 });
    expect(await search(h, '-word', { user })).toMatchObject({ total: 0 });
  },
} satisfies Cases;
