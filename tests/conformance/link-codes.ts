import { expect } from 'vitest';
import { newDevice } from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { linked, newCode, offer, redeem } from './links.ts';

const unguarded = { kind: 'none' } as const;

/** The codes by which a device joins another's conversation. */
export const linkCodeCases = {
  'a code is good for one device, which may redeem it twice': async (h) => {
    const [host, guest, late] = [newDevice(), newDevice(), newDevice()];
    const code = await offer(h, host);
    expect(await redeem(h, guest, code)).toBe('linked');
    expect(await redeem(h, guest, code)).toBe('linked');
    expect(await redeem(h, late, code)).toBe('invalid');
  },

  'a code is good until its time is over, or another takes its place': async (h) => {
    const host = newDevice();
    expect(await redeem(h, newDevice(), await offer(h, host, 0))).toBe('invalid');
    const first = await offer(h, host);
    const second = await offer(h, host);
    expect(await redeem(h, newDevice(), first)).toBe('invalid');
    expect(await redeem(h, newDevice(), second)).toBe('linked');
  },

  'a code is good no more once its device is unlinked, has joined another, or was erased': async (
    h,
  ) => {
    const { host } = await linked(h);
    const unlinked = await offer(h, host);
    await h.storage.unlink(host);
    expect(await redeem(h, newDevice(), unlinked)).toBe('invalid');
    const left = await offer(h, host);
    expect(await redeem(h, host, await offer(h, newDevice()))).toBe('linked');
    expect(await redeem(h, newDevice(), left)).toBe('invalid');
    const erased = newDevice();
    const code = await offer(h, erased);
    await h.storage.eraseDevice(erased);
    expect(await redeem(h, newDevice(), code)).toBe('invalid');
  },

  'no two conversations have the same code': async (h) => {
    const [code, other] = [newCode(), newCode()];
    const give = async (codes: string[]) =>
      (await h.storage.offerLink(newDevice(), codes, 600)).link?.code;
    expect(await give([code, other])).toBe(code);
    expect(await give([code, other])).toBe(other);
    expect(await give([code, other])).toBeUndefined();
  },

  'a device has five tries, and then none, not even with the right code': async (h) => {
    const [host, guest] = [newDevice(), newDevice()];
    const code = await offer(h, host);
    for (let i = 0; i < 5; i++) expect(await redeem(h, guest, newCode())).toBe('invalid');
    expect(await redeem(h, guest, code)).toBe('too_many');
    expect(await redeem(h, newDevice(), code)).toBe('linked');
  },

  'all devices together have so many tries, also those that are made at once': (_, open) =>
    on(open(), async (h) => {
      const code = await offer(h, newDevice());
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, async () => {
          const some = { own: 5, all: 10, seconds: 600 };
          return (await h.storage.redeemLink(newDevice(), newCode(), some)).outcome;
        }),
      );
      expect(outcomes.filter((outcome) => outcome === 'invalid')).toHaveLength(10);
      expect(outcomes.filter((outcome) => outcome === 'too_many')).toHaveLength(20);
      const late = await h.storage.redeemLink(newDevice(), code, { own: 5, all: 10, seconds: 600 });
      expect(late.outcome).toBe('too_many');
      // what was tried before counts no more once the time is over
      const over = await h.storage.redeemLink(newDevice(), code, { own: 5, all: 10, seconds: 0 });
      expect(over.outcome).toBe('linked');
    }),

  'of twenty devices that redeem one code at once, one is linked': async (h) => {
    const code = await offer(h, newDevice());
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => redeem(h, newDevice(), code)),
    );
    expect(outcomes.filter((outcome) => outcome === 'linked')).toHaveLength(1);
  },

  'two that redeem each other’s codes at once share one conversation': async (h) => {
    for (let i = 0; i < 10; i++) {
      const [one, other] = [newDevice(), newDevice()];
      const codes = [await offer(h, one), await offer(h, other)] as const;
      const outcomes = await Promise.all([redeem(h, other, codes[0]), redeem(h, one, codes[1])]);
      expect(outcomes.filter((outcome) => outcome === 'linked')).toHaveLength(1);
      await h.storage.putState(one, { i }, unguarded);
      expect((await h.storage.getState(other)).state).toEqual({ i });
    }
  },
} satisfies Cases;
