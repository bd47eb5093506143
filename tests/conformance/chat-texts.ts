import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type {
  ExportItem,
  ExportPlace,
  ExportScope,
  FoundPage,
  FoundSession,
  ListPlace,
  Reach,
  SessionPage,
  SessionScope,
} from '../../lib/storage/storage.ts';
import { commit, commitOf, type Harness, newDevice } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { begin, takeIn, talk } from './chat-sessions.ts';

const anybody: Reach = { owner: null, includeExpired: false };
const MEBIBYTE = 1_048_576;

const scope = (some: Partial<SessionScope>): SessionScope => ({
  user: null,
  device: null,
  active: null,
  includeExpired: false,
  ...some,
});

/** All pages of a list, one after the other. */
async function pages<Page extends SessionPage | FoundPage>(
  next: (after: Page['next']) => Promise<Page>,
): Promise<Page[]> {
  const seen: Page[] = [];
  for (let after: Page['next'] = null; ;) {
    const page = await next(after);
    seen.push(page);
    after = page.next;
    if (after === null) return seen;
  }
}

const idsOf = (page: { sessions: { id: string }[] } | null) => page?.sessions.map(({ id }) => id);
const list = ({ storage }: Harness, some: Partial<SessionScope>, limit = 50) =>
  storage.listSessions(scope(some), null, limit);
const search = ({ storage }: Harness, words: string, some: Partial<SessionScope>, limit = 50) =>
  storage.searchSessions(words, scope(some), null, limit);

/** A user's session in which one message says this. */
async function said(h: Harness, user: string, content: string, device = newDevice()) {
  const session = await begin(h, { user, device });
  await talk(h, session.id, content);
  return session;
}

/** What was found, a line each, the hits in brackets. */
const shown = (sessions: FoundSession[]) =>
  sessions.flatMap(({ matches }) =>
    matches.map(({ snippet }) =>
      snippet.map(({ text, hit }) => (hit ? `[${text}]` : text)).join(''),
    ),
  );

async function exported(h: Harness, of: ExportScope, limit: number): Promise<ExportItem[]> {
  const items: ExportItem[] = [];
  for (let after: ExportPlace | null = null; ;) {
    const part: ExportItem[] = await h.storage.readExport(of, after, limit);
    items.push(...part);
    after = part.at(-1)?.at ?? null;
    if (after === null) return items;
  }
}
const textsOf = (items: ExportItem[]) =>
  items.map((item) => ('message' in item ? item.message.content : item.session.id));

/** Chat sessions listed, searched and read. */
export const chatTextCases = {
  'lists a user’s sessions, the latest activity first, with what each holds': async (h) => {
    const user = randomUUID();
    const first = await begin(h, { user, metadata: { title: 'one' } });
    const second = await begin(h, { user });
    await begin(h, { user: randomUUID() });
    await h.age(second.device, 1_000);
    await talk(h, first.id, 'hello', 'hi');
    const page = await list(h, { user });
    expect(page).toMatchObject({ total: 2, next: null });
    expect(page.sessions).toMatchObject([
      { id: first.id, messageCount: 2, metadata: { title: 'one' } },
      { id: second.id, messageCount: 0, metadata: {} },
    ]);
  },

  'lists by device, by both, and by what goes on still': async (h) => {
    const user = randomUUID();
    const device = newDevice();
    const open = await begin(h, { user, device });
    const done = await begin(h, { user, device });
    const alone = await begin(h, { device });
    const elsewhere = await begin(h, { user });
    await h.storage.patchSession(done.id, null, { metadata: {}, complete: true }, 100);
    const sets = [
      [{ device }, [open, done, alone]],
      [{ user }, [open, done, elsewhere]],
      [{ user, device }, [open, done]],
      [{ user, device, active: true }, [open]],
      [{ user, active: false }, [done]],
      [{ device: newDevice() }, []],
      [{ user: '' }, []],
    ] as const;
    for (const [some, sessions] of sets) {
      const page = await list(h, some);
      expect(idsOf(page)?.toSorted()).toEqual(sessions.map(({ id }) => id).toSorted());
      expect(page.total).toBe(sessions.length);
    }
  },

  'lists everybody’s': (_, open) =>
    on(open(), async (h) => {
      const sessions = [];
      for (let i = 0; i < 3; i++) sessions.push(await begin(h, { user: `u${i}` }));
      await h.storage.patchSession(
        sessions[0]?.id ?? '',
        null,
        { metadata: {}, complete: true },
        100,
      );
      expect((await list(h, {})).total).toBe(3);
      expect((await list(h, { active: true })).total).toBe(2);
    }),

  'lists in pages: each session once, the total on each of them': async (h) => {
    const user = randomUUID();
    const ids = [];
    for (let i = 0; i < 7; i++) {
      const { id, device } = await begin(h, { user });
      // several share a time
      await h.age(device, Math.floor(i / 3) * 60_000);
      ids.push(id);
    }
    const seen = await pages<SessionPage>((after: ListPlace | null) =>
      h.storage.listSessions(scope({ user }), after, 3),
    );
    expect(seen.map(({ sessions, total }) => [sessions.length, total])).toEqual([
      [3, 7],
      [3, 7],
      [1, 7],
    ]);
    expect(seen.flatMap((page) => idsOf(page) ?? []).toSorted()).toEqual(ids.toSorted());
    const times = seen.flatMap(({ sessions }) => sessions.map((s) => s.lastActivity.getTime()));
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  },

  'leaves expired sessions out of lists, searches and exports, unless they are asked for': async (
    h,
  ) => {
    const user = randomUUID();
    const over = await said(h, user, 'lantern');
    await h.age(over.device, 3_600_000);
    const alive = await said(h, user, 'lantern');
    for (const [includeExpired, found] of [
      [false, [alive.id]],
      [true, [alive.id, over.id]],
    ] as const) {
      const some = { user, includeExpired };
      expect(idsOf(await list(h, some))).toEqual(found);
      expect(idsOf(await search(h, 'lantern', some))?.toSorted()).toEqual(found.toSorted());
      expect(await search(h, 'lantern', some)).toMatchObject({ total: found.length });
      const items = await exported(h, { user, device: null, includeExpired }, 100);
      expect(items.filter((item) => 'session' in item)).toHaveLength(found.length);
    }
    expect(idsOf(await list(h, { user, includeExpired: true, active: true }))).toEqual([alive.id]);
    expect(idsOf(await list(h, { user, includeExpired: true, active: false }))).toEqual([over.id]);
  },

  'leaves large metadata out of a list': async (h) => {
    const user = randomUUID();
    const random = Array.from({ length: 200 }, () => randomUUID()).join('');
    const cases = [{ a: 'x'.repeat(4_000) }, { a: 'x'.repeat(4_200) }, { a: random }];
    for (const metadata of cases) await begin(h, { user, metadata });
    const { sessions } = await list(h, { user });
    const given = sessions.map(({ metadata }) => metadata);
    expect(given.filter((metadata) => metadata === null)).toHaveLength(2);
    expect(given).toContainEqual(cases[0]);
  },

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
