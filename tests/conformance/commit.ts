import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';

export function commitPromises(open: () => Promise<Harness>): void {
  let h: Harness;
  beforeAll(async () => {
    h = await open();
  });
  afterAll(() => h.close());

  describe('commit', () => {
    it('answers what was handed over, numbers messages and replies without a gap, and releases', async () => {
      const device = newDevice();
      for (let i = 0; i < 3; i++) {
        const turn = await take(h.storage, device);
        const result = await commit(h.storage, turn, commitOf(`a${i}`, `b${i}`));
        expect(result).toMatchObject({
          turn: null,
          deliver: false,
          answered: turn.messages.map(({ id, messageId }) => ({ id, messageId })),
        });
        expect(result.replies.map(({ content }) => content)).toEqual([`a${i}`, `b${i}`]);
      }
      const stored = await h.messages(device);
      expect(stored.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(stored[1]?.answers).toEqual([stored[0]?.id]);
      expect(stored.map(({ status }) => status)).toEqual(
        [1, 2, 3].flatMap(() => ['answered', 'sent', 'sent']),
      );
    });

    it('keeps the turn, under a larger fence, when more came in meanwhile', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.accept([message(device, { content: 'more' })], terms());
      const kept = (await commit(h.storage, turn, commitOf('a'))).turn;
      expect(kept?.messages.map(({ content }) => content)).toEqual(['more']);
      expect(kept?.history.map(({ content }) => content)).toEqual(['hello', 'a']);
      expect(Number(kept?.fence)).toBeGreaterThan(Number(turn.fence));
      expect(
        (await h.storage.commit(device, turn.fence, 'builtin', commitOf('late'), 1)).outcome,
      ).toBe('lost');
    });

    it('sent twice writes once and returns the same continuation; with other content it is refused', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.accept([message(device)], terms());
      const content = {
        ...commitOf('a'),
        statePatch: { n: 1 },
        lock: { do: 'set' as const, agent: 'billing', ttl: 60 },
      };
      const { now: _first, ...first } = await commit(h.storage, turn, content);
      const { now: _second, ...second } = await commit(h.storage, turn, content);
      expect(second).toEqual(first);
      expect(
        (await h.storage.commit(device, turn.fence, 'builtin', commitOf('b'), 60_000)).outcome,
      ).toBe('lost');
      expect((await h.messages(device)).filter(({ role }) => role === 'assistant')).toHaveLength(1);
    });

    it('writes nothing with a fence that is not the newest', async () => {
      const device = newDevice();
      const late = await take(h.storage, device);
      await h.shift(device, { turn: 0 });
      const [current] = (await h.storage.next([device], terms())).turns;
      const before = await h.messages(device);
      const content = {
        ...commitOf('late'),
        statePatch: { late: true },
        lock: { do: 'set' as const, agent: 'late', ttl: 60 },
      };
      expect((await h.storage.commit(device, late.fence, 'builtin', content, 60_000)).outcome).toBe(
        'lost',
      );
      expect(await h.storage.extend(device, late.fence, 'builtin', 60_000)).toBeNull();
      expect(await h.storage.giveBack(device, late.fence, 'builtin')).toBe(false);
      expect(await h.storage.fail(device, late.fence, 'late')).toBeNull();
      expect(await h.storage.settle(device, late.fence, [], 60_000)).toBeNull();
      expect(await h.messages(device)).toEqual(before);
      expect((await h.storage.getState(device)).version).toBeNull();
      expect((await h.storage.getLock(device)).lock).toBeNull();
      expect(current && (await commit(h.storage, current, commitOf('now'))).outcome).toBe(
        'committed',
      );
    });

    it('still counts after its lease ran out, as long as nobody has taken the turn', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.shift(device, { turn: -1_000 });
      expect((await commit(h.storage, turn, commitOf('just in time'))).outcome).toBe('committed');
    });

    it('leaves a lock alone that somebody else moved since the grant, even there and back', async () => {
      const device = newDevice();
      const set = (agent: string) =>
        h.storage.setLock(device, { agent, ttlSeconds: 60 }, { kind: 'none' });
      const to = (agent: string) => ({
        ...commitOf('x'),
        lock: { do: 'set' as const, agent, ttl: 60 },
      });
      const first = await take(h.storage, device);
      await set('billing');
      expect((await commit(h.storage, first, to('scheduling'))).lock?.agent).toBe('billing');
      const second = await take(h.storage, device);
      await set('other');
      await set('billing');
      expect((await commit(h.storage, second, to('scheduling'))).lock?.agent).toBe('billing');
      const third = await take(h.storage, device);
      await h.storage.clearLock(device, { kind: 'none' });
      expect((await commit(h.storage, third, to('scheduling'))).lock).toBeNull();
      const fourth = await take(h.storage, device);
      expect((await commit(h.storage, fourth, to('scheduling'))).lock?.agent).toBe('scheduling');
    });

    it('renews, keeps, sets and clears the lock as told', async () => {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      await h.shift(device, { lock: 10_000 });
      const kept = await commit(h.storage, await take(h.storage, device), commitOf('x'));
      expect(Number(kept.lock?.expiresAt) - Number(kept.now)).toBeLessThan(10_001);
      const renewed = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'renew' },
      });
      expect(Number(renewed.lock?.expiresAt) - Number(renewed.now)).toBe(60_000);
      expect(renewed.lock?.version).toBe(kept.lock?.version);
      const longer = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'renew', ttl: 600 },
      });
      expect(Number(longer.lock?.expiresAt) - Number(longer.now)).toBe(600_000);
      const cleared = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'clear' },
      });
      expect(cleared.lock).toBeNull();
      const nothing = await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        lock: { do: 'renew' },
      });
      expect(nothing.lock).toBeNull();
    });

    it('merges a patch into what stands there, and replaces only what nobody has changed since the grant', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.patchState(device, { theirs: 1 }, { kind: 'none' });
      expect(
        (
          await h.storage.commit(
            device,
            turn.fence,
            'builtin',
            { ...commitOf('x'), state: { mine: 1 } },
            60_000,
          )
        ).outcome,
      ).toBe('state_conflict');
      expect((await h.messages(device)).map(({ status }) => status)).toEqual(['waiting']);
      await commit(h.storage, turn, { ...commitOf('x'), statePatch: { mine: 1 } });
      expect((await h.storage.getState(device)).state).toEqual({ theirs: 1, mine: 1 });
      await commit(h.storage, await take(h.storage, device), {
        ...commitOf('x'),
        state: { only: 1 },
      });
      expect((await h.storage.getState(device)).state).toEqual({ only: 1 });
    });

    it('with a state that is too large writes nothing at all, and leaves the turn as it was', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      const content = {
        ...commitOf('x'),
        statePatch: { large: 'x'.repeat(1_100_000) },
        lock: { do: 'set' as const, agent: 'a', ttl: 1 },
      };
      await expect(
        h.storage.commit(device, turn.fence, 'builtin', content, 60_000),
      ).rejects.toMatchObject({ code: 'state_too_large' });
      expect(await h.messages(device)).toMatchObject([{ status: 'waiting', seq: null }]);
      expect((await h.storage.getLock(device)).lock).toBeNull();
      expect((await commit(h.storage, turn, commitOf('x'))).outcome).toBe('committed');
    });

    it('gives at most the last messages of the session, oldest first', async () => {
      const device = newDevice();
      for (let i = 0; i < 12; i++)
        await commit(
          h.storage,
          await take(h.storage, device, { content: `q${i}` }),
          commitOf(`a${i}`),
        );
      const turn = await take(h.storage, device);
      expect(turn.history).toHaveLength(20);
      expect(turn.history.map(({ content }) => content)).toEqual(
        Array.from({ length: 10 }, (_, i) => [`q${i + 2}`, `a${i + 2}`]).flat(),
      );
    });
  });

  describe('a chat session', () => {
    it('goes on while it lives, ends with its time or when completed, and takes its history along', async () => {
      const device = newDevice();
      const first = await take(h.storage, device);
      await commit(h.storage, first, commitOf('a'));
      const second = await take(h.storage, device);
      expect(second.sessionId).toBe(first.sessionId);
      await commit(h.storage, second, commitOf('b'));
      await h.shift(device, { session: 0 });
      const third = await take(h.storage, device);
      expect(third.sessionId).not.toBe(first.sessionId);
      expect(third.history).toEqual([]);
      await commit(h.storage, third, { ...commitOf('c'), complete: true });
      expect((await take(h.storage, device)).sessionId).not.toBe(third.sessionId);
    });

    it('has a turn of its own: messages of an older one are answered first, and apart', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.accept([message(device, { content: 'old' })], terms());
      await h.shift(device, { session: 0 });
      await h.storage.accept([message(device, { content: 'new' })], terms());
      const old = (await commit(h.storage, turn, commitOf('x'))).turn;
      expect(old?.messages.map(({ content }) => content)).toEqual(['old']);
      const next = old && (await commit(h.storage, old, commitOf('y'))).turn;
      expect(next?.messages.map(({ content }) => content)).toEqual(['new']);
      expect(next?.sessionId).not.toBe(turn.sessionId);
    });
  });
}
