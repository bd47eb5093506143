import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BatonError } from '../../lib/errors.ts';
import { keepLease, TurnEnded, whileHeld } from '../../lib/lease.ts';
import type { Fence, Lane, Storage } from '../../lib/storage/storage.ts';
import { captureLog } from '../support/logged.ts';
import { device, noon } from '../support/turns.ts';

const events = captureLog();
const leaseMs = 60_000;
const held = { now: noon, expiresAt: noon };

type Extend = Storage['extend'];

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A lease of a minute that began just now, in a function with an hour left. */
function begin(
  extend: Extend,
  {
    age = 0,
    left = 3_600_000,
    lane = 'builtin',
  }: { age?: number; left?: number; lane?: Lane } = {},
) {
  const storage: Partial<Storage> = { extend };
  const now = performance.now();
  return keepLease(storage as Storage, { device, fence: '7' as Fence }, lane, {
    leaseMs,
    since: now - age,
    endsAt: now + left,
  });
}

const renewing = () => vi.fn<Extend>(() => Promise.resolve(held));
const failing = () =>
  vi.fn<Extend>(() =>
    Promise.reject(new BatonError('storage_unavailable', 'The database is away')),
  );

describe('a lease', () => {
  it('is renewed every third of its length, under its fence', async () => {
    const extend = renewing();
    const lease = begin(extend, { lane: 'external' });
    expect(extend).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(19_999);
    expect(extend).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(extend.mock.calls).toEqual([[device, '7', 'external', leaseMs]]);
    await vi.advanceTimersByTimeAsync(leaseMs * 10);
    expect(extend).toHaveBeenCalledTimes(31);
    expect(lease.holds()).toBe(true);
    expect(lease.signal.aborted).toBe(false);
    lease.stop();
  });

  it('is renewed no more once it is stopped, and leaves no timer behind', async () => {
    const extend = renewing();
    const lease = begin(extend);
    await vi.advanceTimersByTimeAsync(20_000);
    lease.stop();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(leaseMs * 100);
    expect(extend).toHaveBeenCalledTimes(1);
    expect(lease.signal.aborted).toBe(false);
  });

  it('that somebody else took ends the signal with turn_lost, and holds no more', async () => {
    const lease = begin(vi.fn<Extend>(() => Promise.resolve(null)));
    expect(lease.holds()).toBe(true);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(lease.signal.reason).toBeInstanceOf(TurnEnded);
    expect(lease.signal.reason).toMatchObject({ reason: 'turn_lost' });
    expect(lease.holds()).toBe(false);
    lease.stop();
  });

  it("ends the signal with deadline when the function's time is up, and holds no more", async () => {
    const lease = begin(renewing(), { left: 30_000 });
    await vi.advanceTimersByTimeAsync(29_999);
    expect(lease.holds()).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(lease.signal.reason).toMatchObject({ name: 'TurnEnded', reason: 'deadline' });
    expect(lease.holds()).toBe(false);
    lease.stop();
  });

  it('of a function that has no time left ends at once', async () => {
    const lease = begin(renewing(), { left: -5 });
    await vi.advanceTimersByTimeAsync(0);
    expect(lease.signal.reason).toMatchObject({ reason: 'deadline' });
    lease.stop();
  });
});

describe('holds()', () => {
  it('is true until the lease ends and false from then on, when every renewal fails', async () => {
    const lease = begin(failing());
    await vi.advanceTimersByTimeAsync(leaseMs - 1);
    expect(lease.holds()).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(lease.holds()).toBe(false);
    // it may still commit: nobody has said that the turn is lost
    expect(lease.signal.aborted).toBe(false);
    expect(events.length).toBeGreaterThanOrEqual(2);
    expect(events[0]).toMatchObject({
      level: 'warn',
      event: 'lease_not_renewed',
      device_id: device,
    });
    lease.stop();
  });

  it('is false after the lease when renewals hang', async () => {
    const lease = begin(vi.fn<Extend>(() => new Promise(() => {})));
    await vi.advanceTimersByTimeAsync(leaseMs);
    expect(lease.holds()).toBe(false);
    lease.stop();
  });

  it('is true again after a later renewal that went through', async () => {
    const extend = failing();
    const lease = begin(extend);
    await vi.advanceTimersByTimeAsync(leaseMs);
    expect(lease.holds()).toBe(false);
    extend.mockResolvedValue(held);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(lease.holds()).toBe(true);
    lease.stop();
  });

  it('counts from before the call that took the turn', async () => {
    const lease = begin(failing(), { age: 15_000 });
    await vi.advanceTimersByTimeAsync(44_999);
    expect(lease.holds()).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(lease.holds()).toBe(false);
    lease.stop();
  });

  it('counts a renewal from before its call, however long the answer took', async () => {
    const answers: PromiseWithResolvers<typeof held>[] = [];
    const lease = begin(
      vi.fn<Extend>(() => {
        const pending = Promise.withResolvers<typeof held>();
        answers.push(pending);
        return pending.promise;
      }),
    );
    await vi.advanceTimersByTimeAsync(35_000);
    // asked at 20 s, answered at 35 s: held until 80 s and not until 95 s
    answers[0]?.resolve(held);
    await vi.advanceTimersByTimeAsync(44_999);
    expect(lease.holds()).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(lease.holds()).toBe(false);
    lease.stop();
  });

  it('counts a call that renewed the lease in passing', async () => {
    const lease = begin(failing());
    await vi.advanceTimersByTimeAsync(50_000);
    lease.renewed(performance.now() - 5_000);
    await vi.advanceTimersByTimeAsync(54_999);
    expect(lease.holds()).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(lease.holds()).toBe(false);
    lease.stop();
  });
});

describe('length()', () => {
  it("is the lease's, and never goes past the end of the function", async () => {
    const extend = renewing();
    const lease = begin(extend, { left: 90_000.5 });
    expect(lease.length()).toBe(leaseMs);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(lease.length()).toBe(50_000);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(extend.mock.calls.map(([, , , length]) => length)).toEqual([60_000, 50_000, 30_000]);
    lease.stop();
  });

  it('is never nothing, which no storage takes', async () => {
    const lease = begin(renewing(), { left: 10 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(lease.length()).toBe(1);
    lease.stop();
  });
});

describe('whileHeld()', () => {
  const away = () => new BatonError('storage_unavailable', 'The database is away');
  /** Fails so often, then succeeds. */
  const failingFirst = (times: number, error: Error = away()) => {
    const call = vi.fn<() => Promise<string>>(() => Promise.resolve('done'));
    for (let i = 0; i < times; i++) call.mockRejectedValueOnce(error);
    return call;
  };

  it('repeats a call until the storage is back', async () => {
    const call = failingFirst(3);
    await expect(whileHeld({ holds: () => true }, call)).resolves.toBe('done');
    expect(call).toHaveBeenCalledTimes(4);
  });

  it('gives up once the lease is over, for somebody else may have the turn', async () => {
    const call = failingFirst(9);
    const holds = vi.fn(() => false).mockReturnValueOnce(true);
    await expect(whileHeld({ holds }, call)).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(call).toHaveBeenCalledTimes(2);
  });

  it('does not repeat what was refused', async () => {
    const call = failingFirst(1, new BatonError('state_too_large', 'The state is too large'));
    await expect(whileHeld({ holds: () => true }, call)).rejects.toMatchObject({
      code: 'state_too_large',
    });
    expect(call).toHaveBeenCalledTimes(1);
  });
});
