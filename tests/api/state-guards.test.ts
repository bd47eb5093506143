import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';

let api: Api;
let device: string;

beforeAll(async () => {
  api = await startApi();
});
beforeEach(() => {
  device = crypto.randomUUID();
});
afterAll(() => api.close());

const conflict = [412, 'version_conflict'] as const;

/** The three ways to write; each puts `{"next":true}` into the document or removes it. */
const writes: readonly (readonly [string, CallOptions])[] = [
  ['PUT', { body: { state: { next: true } } }],
  ['PATCH', { body: { next: true }, type: 'application/merge-patch+json' }],
  ['DELETE', {}],
];
const outcome: Readonly<Record<string, object>> = {
  PUT: { next: true },
  PATCH: { first: true, next: true },
  DELETE: {},
};

/** Puts a document and gives its ETag. */
async function begin(): Promise<string> {
  const body = { state: { first: true } };
  const answer = await api.call('PUT', '/api/state', { device, body });
  expect(answer.status).toBe(200);
  return String(answer.headers.get('etag'));
}

const state = async () => (await api.call('GET', '/api/state', { device })).json;

describe.for(writes)('%s', ([method, options]) => {
  const write = (headers: Record<string, string>) =>
    api.call(method, '/api/state', { device, ...options, headers });
  const refused = (headers: Record<string, string>) =>
    refuse(api, conflict, method, '/api/state', { device, ...options, headers });

  describe('If-Match lets pass', () => {
    test.for<readonly [string, (etag: string) => string]>([
      ['the ETag that was read', (etag) => etag],
      ['a list with it', (etag) => `"1", ${etag}`],
      ['*, while there is a document', () => '*'],
    ])('%s', async ([, header]) => {
      const answer = await write({ 'if-match': header(await begin()) });

      expect(answer.status).toBe(method === 'DELETE' ? 204 : 200);
      expect(await state()).toMatchObject({ state: outcome[method] });
    });
  });

  describe('412 version_conflict, nothing written', () => {
    test.for<readonly [string, (etag: string) => string]>([
      ['another version', () => '"1"'],
      ['a list without it', () => '"1", "2"'],
      ['the weak form of it', (etag) => `W/${etag}`],
      ['it without its quotes', (etag) => etag.replaceAll('"', '')],
      ['it with a zero before it', (etag) => etag.replace('"', '"0')],
      ['a tag of somebody else', () => '"abc"'],
      ['no tag at all', () => 'latest'],
    ])('If-Match is %s', async ([, header]) => {
      await refused({ 'if-match': header(await begin()) });
    });

    test('If-Match is the ETag of a document that was replaced', async () => {
      const etag = await begin();
      await begin();

      await refused({ 'if-match': etag });
    });

    test('If-Match is the ETag of a document that was deleted', async () => {
      const etag = await begin();
      await api.call('DELETE', '/api/state', { device });

      await refused({ 'if-match': etag });
    });

    test('If-Match is *, and there is no document', async () => {
      await refused({ 'if-match': '*' });

      await api.call('PUT', '/api/lock', { device, body: { agent: 'support' } });
      await refused({ 'if-match': '*' });
    });

    test('If-None-Match is *, and there is a document', async () => {
      await begin();

      await refused({ 'if-none-match': '*' });
    });
  });

  test('a condition that cannot be kept is refused, never ignored: 400 invalid_request', async () => {
    const etag = await begin();
    const headers = { 'if-none-match': etag };

    const call = [method, '/api/state', { device, ...options, headers }] as const;
    await refuse(api, [400, 'invalid_request'], ...call);
  });
});

describe.for(writes.filter(([method]) => method !== 'DELETE'))('%s', ([method, options]) => {
  const create = () =>
    api.call(method, '/api/state', { device, ...options, headers: { 'if-none-match': '*' } });

  test('If-None-Match: * lets pass where there is no document yet', async () => {
    expect((await create()).status).toBe(200);
    expect((await create()).status).toBe(412);
  });

  test('If-None-Match: * lets pass after a DELETE', async () => {
    await begin();
    await api.call('DELETE', '/api/state', { device });

    expect((await create()).status).toBe(200);
    expect(await state()).toMatchObject({ state: { next: true } });
  });
});

test('of twenty guarded PUTs of one version exactly one wins', async () => {
  const etag = await begin();
  const numbers = Array.from({ length: 20 }, (_, i) => i);
  const answers = await Promise.all(
    numbers.map((number) =>
      api.call('PUT', '/api/state', {
        device,
        body: { state: { number } },
        headers: { 'if-match': etag },
      }),
    ),
  );

  expect(answers.map(({ status }) => status).toSorted()).toEqual([
    200,
    ...Array.from({ length: 19 }, () => 412),
  ]);
  const number = answers.findIndex(({ status }) => status === 200);
  expect(await state()).toMatchObject({ state: { number } });
});
