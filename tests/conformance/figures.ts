import { expect } from 'vitest';
import { drain } from '../support/drain.ts';
import { commit, commitOf, message, newDevice, take, terms, time } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { retake, toSend } from './ways.ts';

/** Figures of everything: each on a storage with nobody else in it. */
export const figureCases = {
  'of nothing are nothing': (_, open) =>
    on(open(), async ({ storage }) => {
      const none = { count: 0, median: null, p95: null };
      expect(await storage.readMetrics()).toMatchObject({
        locks: [],
        lockAge: { ...none, sum: 0 },
        sessions: { active: 0, complete: 0, expired: 0, averageBytes: 0, largestBytes: 0 },
        waiting: 0,
        failed: 0,
        replies: {},
        counters: [],
      });
      const stats = await storage.readStats(null);
      expect(stats).toMatchObject({ locks: [], holdings: [], handOvers: [], days: [], errors: [] });
      expect(stats.answers).toEqual(none);
      expect(stats.now.getTime() - stats.since.getTime()).toBe(7 * time.day);
    }),

  'locks: live ones by agent and by age, ended ones by how long they were held, and who came after':
    (_, open) =>
      on(open(), async (h) => {
        const hold = (device: ReturnType<typeof newDevice>, agent: string) =>
          h.storage.setLock(device, { agent, ttlSeconds: 3_600 }, { kind: 'none' });
        for (const age of [10, 20, 30, 40]) {
          const device = newDevice();
          await hold(device, 'billing');
          await h.age(device, age * time.second);
        }
        const lapsed = newDevice();
        await hold(lapsed, 'billing');
        await h.age(lapsed, 2 * time.hour);
        const moved = newDevice();
        await hold(moved, 'billing');
        await h.age(moved, 100 * time.second);
        await hold(moved, 'scheduling');
        await hold(moved, 'billing');

        const { locks, lockAge } = await h.storage.readMetrics();
        expect(locks).toEqual([{ agent: 'billing', active: 5 }]);
        expect(lockAge.count).toBe(5);
        // the nearest rank; whole seconds and the little that the test itself takes
        expect(Math.floor(lockAge.median ?? 0)).toBe(20);
        expect(Math.floor(lockAge.p95 ?? 0)).toBe(40);

        const stats = await h.storage.readStats(null);
        expect(stats.locks.map(({ agent, count }) => [agent, count])).toEqual([['billing', 5]]);
        expect(stats.holdings.map(({ agent, count }) => [agent, count])).toEqual([
          ['billing', 1],
          ['scheduling', 1],
        ]);
        expect(Math.floor(stats.holdings[0]?.median ?? 0)).toBe(100);
        expect(stats.handOvers).toEqual([
          { from: 'billing', to: 'scheduling', count: 1 },
          { from: 'scheduling', to: 'billing', count: 1 },
        ]);
        expect((await h.storage.readStats(new Date(stats.now.getTime() + 1))).holdings).toEqual([]);
      }),

  'chat sessions: by state, and by the bytes of what stands in their histories': (_, open) =>
    on(open(), async (h) => {
      const long = newDevice();
      const asked = { content: 'ä'.repeat(600_000) };
      await commit(h.storage, await take(h.storage, long, asked), commitOf('12345'));
      const short = newDevice();
      const { sessionId } = await commit(
        h.storage,
        await take(h.storage, short, { content: 'hello' }),
        commitOf('a', 'b'),
      );
      const reach = { metadata: {}, complete: true };
      await h.storage.patchSession(sessionId ?? '', null, reach, 1_000);
      const over = newDevice();
      await h.storage.setLock(over, { agent: 'human', ttlSeconds: 60 }, { kind: 'none' });
      await h.storage.accept([message(over, { content: 'noted' })], terms());
      await h.age(over, 2 * time.hour);
      // what waits is in no history
      await h.storage.accept([message(newDevice(), { content: 'waits' })], terms({ maxTurns: 0 }));

      const { sessions, waiting } = await h.storage.readMetrics();
      expect(waiting).toBe(1);
      expect(sessions).toEqual({
        active: 2,
        complete: 1,
        expired: 1,
        averageBytes: Math.round((1_200_005 + 7 + 5) / 4),
        largestBytes: 1_200_005,
        over1mb: 1,
      });
      const { sessions: told, now } = await h.storage.readStats(null);
      expect(told).toEqual({ ...sessions, created: 4 });
      const hourAgo = new Date(now.getTime() - time.hour);
      expect((await h.storage.readStats(hourAgo)).sessions.created).toBe(3);
    }),

  'messages by day, the time to the answer, and what failed': (_, open) =>
    on(open({ maxAttempts: 2 }), async (h) => {
      const device = newDevice();
      const slow = await take(h.storage, device);
      await h.age(device, 90 * time.second);
      await commit(h.storage, slow, commitOf('a', 'b'));
      await commit(h.storage, await take(h.storage, device), commitOf('c'));
      const failing = newDevice();
      const turn = await take(h.storage, failing);
      await h.storage.fail(failing, turn.fence, 'Error');
      await h.shift(failing, { turn: 0 });
      const last = await retake(h, failing);
      await h.storage.fail(failing, last?.fence ?? turn.fence, 'TypeError');
      const unsent = newDevice();
      const sending = await take(h.storage, unsent);
      const { replies } = await commit(h.storage, sending, toSend('x', 'y'));
      const [x, y] = replies;
      const delivery = { id: x?.id ?? '', status: 'failed' as const, error: 'whatsapp_131047' };
      await h.storage.settle(
        unsent,
        sending.fence,
        [delivery, { id: y?.id ?? '', status: 'unknown' }],
        0,
      );
      const old = newDevice();
      await commit(h.storage, await take(h.storage, old), commitOf('old'));
      await h.age(old, 2 * time.day);

      const metrics = await h.storage.readMetrics();
      expect(metrics).toMatchObject({ failed: 1, replies: { sent: 3, failed: 1, unknown: 1 } });
      const stats = await h.storage.readStats(null);
      expect(stats.answers.count).toBe(4);
      expect(Math.floor(stats.answers.p95 ?? 0)).toBe(90);
      expect(stats.answers.median).toBeLessThan(60);
      expect(stats.errors).toEqual([
        { role: 'user', error: 'TypeError', count: 1 },
        { role: 'assistant', error: 'whatsapp_131047', count: 1 },
      ]);
      const said = stats.days.map(({ user, assistant }) => user + assistant);
      expect(said.reduce((sum, day) => sum + day, 0)).toBe(11);
      expect(stats.days[0]).toMatchObject({ user: 1, assistant: 1 });
      expect(stats.days[0]?.day).toBe(
        new Date(stats.now.getTime() - 2 * time.day).toISOString().slice(0, 10),
      );
      const dayAgo = new Date(stats.now.getTime() - time.day);
      expect((await h.storage.readStats(dayAgo)).answers.count).toBe(3);
    }),

  'what was purged is in none of them': (_, open) =>
    on(open({ retentionDays: 1 }), async (h) => {
      const device = newDevice();
      await commit(h.storage, await take(h.storage, device), commitOf('a'));
      await h.age(device, 2 * time.day);
      await drain(h);
      const stats = await h.storage.readStats(null);
      expect(stats).toMatchObject({ days: [], sessions: { expired: 0 } });
      expect(stats.answers.count).toBe(0);
    }),

  'counts add up, also fifty at once': (_, open) =>
    on(open(), async ({ storage }) => {
      const one = { name: 'turns', label: 'answered', by: 2 } as const;
      const other = { name: 'errors', label: 'not_found', by: 1 } as const;
      await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          storage.addCounts(i % 2 === 0 ? [one, other] : [other, one]),
        ),
      );
      const { counters, now } = await storage.readMetrics();
      expect(counters).toMatchObject([
        { name: 'errors', label: 'not_found', value: 50 },
        { name: 'turns', label: 'answered', value: 100 },
      ]);
      for (const { updatedAt } of counters)
        expect(updatedAt.getTime()).toBeLessThanOrEqual(now.getTime());
      expect((await storage.readStats(null)).counters).toEqual(counters);
    }),
} satisfies Cases;
