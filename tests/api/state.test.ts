import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Answer, type Api, DIGITS, startApi, TIME } from '../support/api.ts';
import { refuse } from '../support/problems.ts';

let api: Api;
let device: string;

beforeAll(async () => {
  api = await startApi({ MAX_STATE_BYTES: '4096' });
});
beforeEach(() => {
  device = crypto.randomUUID();
});
afterAll(() => api.close());

const MERGE_PATCH = 'application/merge-patch+json';

const get = () => api.call('GET', '/api/state', { device });
const put = (state: unknown) => api.call('PUT', '/api/state', { device, body: { state } });
const patch = (body: unknown) =>
  api.call('PATCH', '/api/state', { device, body, type: MERGE_PATCH });
const forget = () => api.call('DELETE', '/api/state', { device });

const stored = z.strictObject({
  device_id: z.string(),
  state: z.record(z.string(), z.unknown()),
  version: z.string().regex(DIGITS),
  updated_at: z.string().regex(TIME),
});

/** The answer's document, and that the ETag names its version. */
function documentOf(answer: Answer): z.output<typeof stored> {
  expect(answer.status).toBe(200);
  const document = stored.parse(answer.json);
  expect(answer.headers.get('etag')).toBe(`"${document.version}"`);
  return document;
}

describe('GET 200', () => {
  test('a device never seen has {} and no version, and stays unknown', async () => {
    const before = await api.stored();

    const answer = await get();

    expect([answer.status, answer.json]).toEqual([200, { device_id: device, state: {} }]);
    expect(answer.headers.get('etag')).toBeNull();
    expect(await api.stored()).toEqual(before);
  });

  test('so has a device of which only a lock is known', async () => {
    await api.call('PUT', '/api/lock', { device, body: { agent: 'support' } });

    expect((await get()).json).toEqual({ device_id: device, state: {} });
  });

  test('a document that was put is told with its version and its time', async () => {
    const written = documentOf(await put({ step: 2 }));

    expect(written).toMatchObject({ device_id: device, state: { step: 2 } });
    expect(documentOf(await get())).toEqual(written);
  });

  test('If-None-Match is ignored: the document is told again, not 304', async () => {
    const { version } = documentOf(await put({ step: 2 }));
    const headers = { 'if-none-match': `"${version}"` };

    const answer = await api.call('GET', '/api/state', { device, headers });

    expect(documentOf(answer).state).toEqual({ step: 2 });
  });
});

describe('PUT 200', () => {
  test('replaces the whole document under a new version', async () => {
    const first = documentOf(await put({ a: 1, b: 2 }));

    const second = documentOf(await put({ c: 3 }));

    expect(second.state).toEqual({ c: 3 });
    expect(second.version).not.toBe(first.version);
    expect(Date.parse(second.updated_at)).toBeGreaterThanOrEqual(Date.parse(first.updated_at));
  });

  test('{} is a document too: it has a version', async () => {
    expect(documentOf(await put({})).state).toEqual({});
  });

  test('every kind of value comes back as it was', async () => {
    const state = {
      text: 'ü 漢字 👩‍👧 "\\ \n',
      numbers: [0, -1, 1.5, 1e300, 5e-324, 9_007_199_254_740_991],
      truth: [true, false, null],
      '': { 'a key with spaces': [[], {}, [[1], { deep: [null] }]] },
    };
    await put(state);

    expect(documentOf(await get()).state).toEqual(state);
  });

  test('the state of one device is not the state of another', async () => {
    await put({ mine: true });
    device = crypto.randomUUID();

    expect((await get()).json).toEqual({ device_id: device, state: {} });
  });
});

describe('PATCH 200 merges as RFC 7396 says', () => {
  test.for<readonly [object, object, object]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{ a: 'text' }, { a: { b: 1 } }, { a: { b: 1 } }],
    [{ a: [1, 2] }, { a: { b: null, c: 3 } }, { a: { c: 3 } }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [{}, { a: [null, { b: null }] }, { a: [null, { b: null }] }],
    [{ a: 1 }, {}, { a: 1 }],
  ])('%j and %j make %j', async ([state, change, result]) => {
    await put(state);

    expect(documentOf(await patch(change)).state).toEqual(result);
    expect(documentOf(await get()).state).toEqual(result);
  });

  test('makes a document where there is none', async () => {
    expect(documentOf(await patch({ a: 1, gone: null })).state).toEqual({ a: 1 });
  });

  test('draws a new version', async () => {
    const { version } = documentOf(await put({ a: 1 }));

    expect(documentOf(await patch({ a: 2 })).version).not.toBe(version);
  });

  test('twenty at once of different keys all survive', async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
    const answers = await Promise.all(keys.map((key) => patch({ [key]: true, all: { [key]: 1 } })));

    expect(new Set(answers.map((answer) => documentOf(answer).version)).size).toBe(20);
    expect(documentOf(await get()).state).toEqual({
      ...Object.fromEntries(keys.map((key) => [key, true])),
      all: Object.fromEntries(keys.map((key) => [key, 1])),
    });
  });
});

describe('DELETE 204', () => {
  test('forgets the document and its version', async () => {
    await put({ a: 1 });

    const answer = await forget();

    expect([answer.status, answer.text]).toEqual([204, '']);
    expect((await get()).json).toEqual({ device_id: device, state: {} });
  });

  test('also where there is none, again and again, and stores nothing', async () => {
    const before = await api.stored();

    expect((await forget()).status).toBe(204);
    expect((await forget()).status).toBe(204);

    expect(await api.stored()).toEqual(before);
  });

  test('leaves the lock alone', async () => {
    await api.call('PUT', '/api/lock', { device, body: { agent: 'support' } });
    await put({ a: 1 });

    await forget();

    const { json } = await api.call('GET', '/api/lock', { device });
    expect(json).toMatchObject({ active_agent: 'support' });
  });

  test('a version never comes back after it', async () => {
    const first = documentOf(await put({ a: 1 }));
    await forget();

    expect(documentOf(await put({ a: 1 })).version).not.toBe(first.version);
  });
});

describe('PUT 400 invalid_request', () => {
  test.for([
    ['missing', {}],
    ['null', { state: null }],
    ['a list', { state: [] }],
    ['a string', { state: '{}' }],
    ['a number', { state: 1 }],
  ] as const)('the state is %s', async ([, body]) => {
    const call = ['PUT', '/api/state', { device, body }] as const;
    const { problem } = await refuse(api, [400, 'invalid_request'], ...call);

    expect(problem.errors?.map(({ path }) => path)).toEqual(['state']);
  });
});

describe('413 state_too_large, nothing written', () => {
  const tooLarge = [413, 'state_too_large'] as const;

  test('PUT of a document over MAX_STATE_BYTES', async () => {
    await put({ small: true });

    const body = { state: { text: 'x'.repeat(4_096) } };
    await refuse(api, tooLarge, 'PUT', '/api/state', { device, body });
  });

  test('PUT of one that is over it in bytes, though not in characters', async () => {
    const body = { state: { text: 'ü'.repeat(2_500) } };
    await refuse(api, tooLarge, 'PUT', '/api/state', { device, body });
  });

  test('PATCH with which the document would grow over it', async () => {
    await put({ one: 'x'.repeat(2_500) });

    const body = { two: 'x'.repeat(2_500) };
    await refuse(api, tooLarge, 'PATCH', '/api/state', { device, body, type: MERGE_PATCH });
  });

  test('a document just under it is stored', async () => {
    expect((await put({ text: 'x'.repeat(4_000) })).status).toBe(200);
  });
});

describe('413 of a whole megabyte', () => {
  test('a document of nearly 1 MiB is stored and told by default', async () => {
    const large = await startApi();
    try {
      const state = { text: 'x'.repeat(1_048_000) };
      const answer = await large.call('PUT', '/api/state', { device, body: { state } });

      expect(answer.status).toBe(200);
      const { json } = await large.call('GET', '/api/state', { device });
      expect(json).toMatchObject({ state });
    } finally {
      await large.close();
    }
  });
});
