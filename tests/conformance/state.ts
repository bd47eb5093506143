import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/json.ts';
import type { Guard, Version } from '../../lib/storage/storage.ts';
import { type Harness, newDevice } from '../support/storage.ts';

const none: Guard = { kind: 'none' };
const absent: Guard = { kind: 'absent' };
const matching = (...versions: Version[]): Guard => ({ kind: 'present', versions });

export function statePromises(open: () => Promise<Harness>): void {
  describe('state', () => {
    let h: Harness;
    beforeAll(async () => {
      h = await open();
    });
    afterAll(() => h.close());

    it('is an empty document without a version until somebody writes', async () => {
      const device = newDevice();
      expect(await h.storage.getState(device)).toMatchObject({
        state: {},
        version: null,
        updatedAt: null,
      });
      expect((await h.storage.clearState(device, none)).written).toBe(true);
      expect(await h.storage.putState(device, { a: 1 }, matching())).toEqual({ written: false });
      expect(await h.storage.patchState(device, { a: 1 }, matching('1' as Version))).toEqual({
        written: false,
      });
      expect(await h.storage.getState(device)).toMatchObject({ version: null });
    });

    it('comes back as it was put, whatever JSON it is', async () => {
      const device = newDevice();
      const state = JSON.parse(
        '{"":0,"n":null,"deep":[[[{"x":[]}]]],"__proto__":{"polluted":true},"text":"\u2028 \\" \\\\ 😀","big":9007199254740991,"small":-1.5e-7,"t":true}',
      ) as JsonObject;
      const put = await h.storage.putState(device, state, none);
      expect(put.written && put.state).toEqual(state);
      const read = await h.storage.getState(device);
      expect(read.state).toEqual(state);
      expect(Object.keys(read.state)).toContain('__proto__');
    });

    it('merges as RFC 7396 says: null removes, objects merge, everything else replaces', async () => {
      const device = newDevice();
      await h.storage.putState(
        device,
        { a: { b: 1, c: 2 }, list: [1, 2], gone: 1, kept: null },
        none,
      );
      const patched = await h.storage.patchState(
        device,
        { a: { b: null, d: { e: null, f: 1 } }, list: [null], gone: null, fresh: { x: null } },
        none,
      );
      expect(patched.written && patched.state).toEqual({
        a: { c: 2, d: { f: 1 } },
        list: [null],
        kept: null,
        fresh: {},
      });
    });

    it('gets a new, larger version with each write, also across a clear', async () => {
      const device = newDevice();
      const versions: number[] = [];
      for (let i = 0; i < 2; i++) {
        const put = await h.storage.putState(device, { i }, none);
        const patched = await h.storage.patchState(device, { j: i }, none);
        if (!put.written || !patched.written) throw new Error('not written');
        versions.push(Number(put.version), Number(patched.version));
        await h.storage.clearState(device, none);
        expect(await h.storage.getState(device)).toMatchObject({ state: {}, version: null });
      }
      expect(versions).toEqual(versions.toSorted((a, b) => a - b));
      expect(new Set(versions).size).toBe(versions.length);
    });

    it('is written only if the guard holds, and not at all if it does not', async () => {
      const device = newDevice();
      const put = await h.storage.putState(device, { a: 1 }, absent);
      if (!put.written || put.version === null) throw new Error('not written');
      expect(await h.storage.putState(device, { a: 2 }, absent)).toEqual({ written: false });
      expect(await h.storage.patchState(device, { a: 2 }, absent)).toEqual({ written: false });
      expect(await h.storage.clearState(device, matching('1' as Version))).toEqual({
        written: false,
      });
      expect(await h.storage.getState(device)).toMatchObject({
        state: { a: 1 },
        version: put.version,
      });
      const patched = await h.storage.patchState(device, { b: 1 }, matching(put.version));
      expect(patched.written && patched.state).toEqual({ a: 1, b: 1 });
      expect(await h.storage.putState(device, {}, matching(put.version))).toEqual({
        written: false,
      });
      expect(await h.storage.clearState(device, absent)).toEqual({ written: false });
      expect((await h.storage.clearState(device, matching())).written).toBe(true);
      expect((await h.storage.clearState(device, absent)).written).toBe(true);
      expect((await h.storage.putState(device, {}, absent)).written).toBe(true);
    });

    it('keeps all of fifty patches of different keys that come at once', async () => {
      const device = newDevice();
      await Promise.all(
        Array.from({ length: 50 }, (_, i) => h.storage.patchState(device, { [`k${i}`]: i }, none)),
      );
      const { state } = await h.storage.getState(device);
      expect(Object.keys(state)).toHaveLength(50);
    });

    it('has one winner of fifty guarded writes at once', async () => {
      const device = newDevice();
      const put = await h.storage.putState(device, {}, none);
      if (!put.written || put.version === null) throw new Error('not written');
      const guard = matching(put.version);
      const all = await Promise.all(
        Array.from({ length: 50 }, (_, i) => h.storage.putState(device, { i }, guard)),
      );
      expect(all.filter((result) => result.written)).toHaveLength(1);
    });

    it('refuses a document past its limit, alone or grown by a patch, and keeps what was there', async () => {
      const small = await open();
      try {
        const device = newDevice();
        const half = 'x'.repeat(600_000);
        await small.storage.putState(device, { half }, none);
        await expect(small.storage.patchState(device, { other: half }, none)).rejects.toMatchObject(
          { code: 'state_too_large' },
        );
        await expect(
          small.storage.putState(device, { all: half + half }, none),
        ).rejects.toMatchObject({ code: 'state_too_large' });
        expect(Object.keys((await small.storage.getState(device)).state)).toEqual(['half']);
      } finally {
        await small.close();
      }
    });

    it('merges a patch of five thousand keys into five thousand in one go', async () => {
      const device = newDevice();
      const keys = (prefix: string) =>
        Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`${prefix}${i}`, { n: i }]));
      await h.storage.putState(device, keys('a'), none);
      const patched = await h.storage.patchState(device, keys('b'), none);
      expect(patched.written && Object.keys(patched.state)).toHaveLength(10_000);
    });
  });
}
