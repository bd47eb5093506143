import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { ListPlace, SessionPage } from '../../lib/storage/storage.ts';
import { newDevice } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { begin, exported, idsOf, list, pages, said, scope, search, talk } from './chat.ts';

/** Chat sessions listed. */
export const chatListCases = {
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
} satisfies Cases;
