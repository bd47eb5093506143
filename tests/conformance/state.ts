import { expect } from 'vitest';
import type { JsonObject, JsonValue } from '../../lib/json.ts';
import type { Guard, Version } from '../../lib/storage/storage.ts';
import { newDevice } from '../support/storage.ts';
import { type Cases, on } from './case.ts';

const none: Guard = { kind: 'none' };
const absent: Guard = { kind: 'absent' };
const matching = (...versions: Version[]): Guard => ({ kind: 'present', versions });

/** `{"a":{"a":…}}`, so many levels deep. */
function nested(depth: number, inmost: JsonValue = 1): JsonObject {
  let value = inmost;
  for (let level = 0; level < depth; level++) value = { a: value };
  return value as JsonObject;
}

/** The conversation state, its versions and its merge. */
export const stateCases = {
  'is an empty document without a version until somebody writes': async (h) => {
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
  },

  'comes back as it was put, whatever JSON it is': async (h) => {
    const device = newDevice();
    const state = JSON.parse(
      '{"":0,"n":null,"deep":[[[{"x":[]}]]],"__proto__":{"polluted":true},"text":"\u2028 \\" \\\\ 😀","big":9007199254740991,"small":-1.5e-7,"huge":1.7976931348623157e308,"tiny":5e-324,"t":true,"1":1,"0":0}',
    ) as JsonObject;
    const put = await h.storage.putState(device, state, none);
    expect(put.written && put.state).toEqual(state);
    const read = await h.storage.getState(device);
    expect(read.state).toEqual(state);
    expect(Object.keys(read.state)).toContain('__proto__');
  },

  'tells when it was written, by the clock of the write': async (h) => {
    const device = newDevice();
    const put = await h.storage.putState(device, { a: 1 }, none);
    if (!put.written) throw new Error('not written');
    expect(put.updatedAt).toEqual(put.now);
    const { now: _, ...read } = await h.storage.getState(device);
    expect(read).toEqual({ state: { a: 1 }, version: put.version, updatedAt: put.now });
  },

  'is the caller’s no more once it is put, nor the storage’s once it is read': async (h) => {
    const device = newDevice();
    const list = [1];
    await h.storage.putState(device, { list }, none);
    list.push(2);
    (await h.storage.getState(device)).state['mine'] = true;
    expect((await h.storage.getState(device)).state).toEqual({ list: [1] });
  },

  'merges as RFC 7396 says: null removes, objects merge, everything else replaces': async (h) => {
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
  },

  'merged into nothing keeps no null': async (h) => {
    const device = newDevice();
    const patched = await h.storage.patchState(device, { a: null, b: { c: null } }, none);
    expect(patched.written && patched.state).toEqual({ b: {} });
  },

  'may nest a hundred levels, put and merged': async (h) => {
    const device = newDevice();
    await h.storage.putState(device, nested(100), none);
    expect((await h.storage.getState(device)).state).toEqual(nested(100));
    await h.storage.patchState(device, nested(99, { b: 2 }), none);
    expect((await h.storage.getState(device)).state).toEqual(nested(99, { a: 1, b: 2 }));
  },

  'gets a new, larger version with each write, also across a clear': async (h) => {
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
  },

  'is written only if the guard holds, and not at all if it does not': async (h) => {
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
    const either = matching('1' as Version, put.version);
    const patched = await h.storage.patchState(device, { b: 1 }, either);
    expect(patched.written && patched.state).toEqual({ a: 1, b: 1 });
    expect(await h.storage.putState(device, {}, matching(put.version))).toEqual({
      written: false,
    });
    expect(await h.storage.clearState(device, absent)).toEqual({ written: false });
    expect((await h.storage.clearState(device, matching())).written).toBe(true);
    expect((await h.storage.clearState(device, absent)).written).toBe(true);
    expect((await h.storage.putState(device, {}, absent)).written).toBe(true);
  },

  'cleared is gone for a guard, also for one that names its version': async (h) => {
    const device = newDevice();
    const put = await h.storage.putState(device, { a: 1 }, none);
    if (!put.written || put.version === null) throw new Error('not written');
    await h.storage.clearState(device, none);
    for (const guard of [matching(put.version), matching()]) {
      expect(await h.storage.putState(device, {}, guard)).toEqual({ written: false });
      expect(await h.storage.clearState(device, guard)).toEqual({ written: false });
    }
  },

  'has a life of its own beside the lock: neither’s write moves the other’s version': async (h) => {
    const device = newDevice();
    const put = await h.storage.putState(device, { a: 1 }, none);
    const set = await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, none);
    if (!put.written || !set.written) throw new Error('not written');
    expect((await h.storage.getState(device)).version).toBe(put.version);
    await h.storage.clearState(device, none);
    expect((await h.storage.getLock(device)).lock).toEqual(set.lock);
  },

  'keeps all of fifty patches of different keys that come at once': async (h) => {
    const device = newDevice();
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => h.storage.patchState(device, { [`k${i}`]: i }, none)),
    );
    const { state } = await h.storage.getState(device);
    expect(Object.keys(state)).toHaveLength(50);
  },

  'has one winner of fifty guarded writes at once': async (h) => {
    const device = newDevice();
    const put = await h.storage.putState(device, {}, none);
    if (!put.written || put.version === null) throw new Error('not written');
    const guard = matching(put.version);
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => h.storage.putState(device, { i }, guard)),
    );
    expect(all.filter((result) => result.written)).toHaveLength(1);
  },

  'has one winner of fifty that write the first document at once': async (h) => {
    const device = newDevice();
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => h.storage.putState(device, { i }, absent)),
    );
    const winners = all.filter((result) => result.written);
    expect(winners).toHaveLength(1);
    expect((await h.storage.getState(device)).state).toEqual(winners[0]?.state);
  },

  'is refused past its limit, alone or grown by a patch, and what was there stays': (_, open) =>
    on(open({ maxStateBytes: 10_000 }), async (h) => {
      const device = newDevice();
      const half = 'x'.repeat(4_500);
      const put = await h.storage.putState(device, { half, other: half }, none);
      expect(put.written).toBe(true);
      const refusals = [
        h.storage.patchState(device, { third: half }, none),
        h.storage.putState(device, { all: half + half + half }, none),
        h.storage.putState(newDevice(), { all: half + half + half }, none),
        h.storage.patchState(newDevice(), { all: '€'.repeat(5_000) }, none),
      ];
      for (const refusal of await Promise.allSettled(refusals))
        expect(refusal).toMatchObject({ reason: { code: 'state_too_large' } });
      expect((await h.storage.getState(device)).state).toEqual({ half, other: half });
      await h.storage.patchState(device, { half: null, third: half }, none);
      expect(Object.keys((await h.storage.getState(device)).state)).toEqual(['other', 'third']);
    }),

  'may have as many bytes as its limit, as its caller writes it, whatever it is made of': (
    _,
    open,
  ) =>
    on(open({ maxStateBytes: 10_000 }), async (h) => {
      const documents: JsonObject[] = [
        { list: Array.from({ length: 4_500 }, () => 1) },
        Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, [i, {}]])),
        { 'a path\\': Array.from({ length: 100 }, () => '\\ in two parts\\') },
        { text: '", : , \\" \\\\ \u0001 \n € 😀'.repeat(100), 'k", : ': ['a, b: c', ', ', ' '] },
      ];
      const bytesOf = (state: JsonObject) => Buffer.byteLength(JSON.stringify(state));
      for (const document of documents) {
        const pad = 'x'.repeat(10_000 - bytesOf({ ...document, pad: '' }));
        const device = newDevice();
        const put = await h.storage.putState(device, { ...document, pad }, none);
        expect(put.written && bytesOf(put.state)).toBe(10_000);
        expect((await h.storage.readDevice(device, null, 1))?.record.state?.bytes).toBe(10_000);
        const more = h.storage.putState(device, { ...document, pad: `${pad}x` }, none);
        await expect(more).rejects.toMatchObject({ code: 'state_too_large' });
        await h.storage.patchState(device, { pad: 'x' }, none);
        await h.storage.patchState(device, { pad }, none);
        const grown = h.storage.patchState(device, { pad: `${pad}x` }, none);
        await expect(grown).rejects.toMatchObject({ code: 'state_too_large' });
        expect((await h.storage.getState(device)).state).toEqual({ ...document, pad });
      }
    }),

  'gives back every key as it was, whatever keys other documents have in its place': async (h) => {
    // V8 reads " as \\ where it has seen a document with that key there (lib/json.ts)
    await h.storage.putState(newDevice(), { '': 1, '\\': 2 }, none);
    const device = newDevice();
    const state = { '': 1, '"': 2 };
    expect(await h.storage.putState(device, state, none)).toMatchObject({ state });
    expect((await h.storage.getState(device)).state).toEqual(state);
    await h.storage.putState(newDevice(), { '': 1, '\\': 2 }, none);
    expect((await h.storage.getState(device)).state).toEqual(state);
  },

  'merges a patch of five thousand keys into five thousand in one go': async (h) => {
    const device = newDevice();
    const keys = (prefix: string) =>
      Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`${prefix}${i}`, { n: i }]));
    await h.storage.putState(device, keys('a'), none);
    const patched = await h.storage.patchState(device, keys('b'), none);
    expect(patched.written && Object.keys(patched.state)).toHaveLength(10_000);
  },
} satisfies Cases;
