import { expect } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { message, newDevice, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import type { Harness } from '../support/storage.ts';

/** One message of a device that may send so many in a minute. */
const say = async ({ storage }: Harness, device: DeviceId, perMinute = 3, some = {}) => {
  const [accepted] = await storage.accept([message(device, { perMinute, ...some })], terms());
  if (accepted === undefined) throw new Error('nothing was accepted');
  return accepted;
};

/** How many messages a device may send in a minute. */
export const rateCases = {
  'are let in so many at once, and then no more; nothing is kept of what was refused': async (
    h,
  ) => {
    const device = newDevice();
    const left: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) left.push((await say(h, device)).rate?.left);
    expect(left).toEqual([2, 1, 0]);
    const refused = await say(h, device);
    expect(refused.refused).toEqual([{ index: 0, reason: 'too_fast' }]);
    expect(refused.messages).toEqual([]);
    expect(await h.messages(device)).toHaveLength(3);
  },

  'say when the next one is let in, and when all are': async (h) => {
    const device = newDevice();
    const first = (await say(h, device)).rate;
    expect(first?.retryMs).toBe(0);
    expect(first?.resetMs).toBe(20_000);
    await say(h, device);
    const last = (await say(h, device)).rate;
    expect(last?.retryMs).toBeGreaterThan(10_000);
    expect(last?.retryMs).toBeLessThanOrEqual(20_000);
    expect(last?.resetMs).toBeGreaterThan(50_000);
    expect(last?.resetMs).toBeLessThanOrEqual(60_000);
  },

  'are let in again one by one as time goes by': async (h) => {
    const device = newDevice();
    for (let i = 0; i < 3; i++) await say(h, device);
    await h.age(device, 20_000);
    expect((await say(h, device)).refused).toEqual([]);
    expect((await say(h, device)).refused).toHaveLength(1);
    await h.age(device, 600_000);
    for (let i = 0; i < 3; i++) expect((await say(h, device)).refused).toEqual([]);
    expect((await say(h, device)).refused).toHaveLength(1);
  },

  'one that was taken before is never refused, and does not count': async (h) => {
    const device = newDevice();
    const again = { externalId: 'the same' };
    for (let i = 0; i < 5; i++) {
      const accepted = await say(h, device, 3, again);
      expect(accepted.refused).toEqual([]);
      expect(accepted.rate?.left).toBe(2);
    }
    for (let i = 0; i < 3; i++) await say(h, device);
    expect((await say(h, device, 3, again)).messages).toMatchObject([{ duplicate: true }]);
  },

  'are counted for each device by itself, and not at all where nobody asks': async (h) => {
    const [one, other] = [newDevice(), newDevice()];
    for (let i = 0; i < 4; i++) await say(h, one);
    expect((await say(h, other)).rate?.left).toBe(2);
    const [free] = await h.storage.accept([message(one)], terms());
    expect(free?.refused).toEqual([]);
    expect(free?.rate).toBeUndefined();
  },

  'of twenty at once, and of a batch, the first ones are let in': async (h) => {
    const device = newDevice();
    const at = await Promise.all(Array.from({ length: 20 }, () => say(h, device)));
    expect(at.filter(({ refused }) => refused.length === 0)).toHaveLength(3);
    const batch = newDevice();
    const [accepted] = await h.storage.accept(
      Array.from({ length: 5 }, () => message(batch, { perMinute: 3 })),
      terms(),
    );
    expect(accepted?.messages.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(accepted?.refused.map(({ index }) => index)).toEqual([3, 4]);
  },
} satisfies Cases;
