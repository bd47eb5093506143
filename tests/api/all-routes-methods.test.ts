import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, type Api, deployed, startApi } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { routes } from './calls.ts';

const device = '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55';
const every = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'];

let api: Api;

beforeAll(async () => {
  api = await startApi({
    WHATSAPP_VERIFY_TOKEN: 'a token to verify with',
    CRON_SECRET: 'c'.repeat(32),
  });
  await api.call('PUT', '/api/lock', { device, body: { agent: 'support' } });
  await api.call('PUT', '/api/state', { device, body: { state: { a: 1 } } });
});
afterAll(() => api.close());

const allowed = ({ headers }: Answer) => headers.get('allow')?.split(/, */).toSorted();

describe.for([...routes])('%s', ([path, methods]) => {
  test.for(every.filter((method) => !methods.includes(method)))(
    '405 method_not_allowed with Allow: %s',
    async (method) => {
      if (method === 'HEAD') {
        const answer = await api.call('HEAD', path, { device });
        expect([answer.status, answer.text]).toEqual([405, '']);
        expect(allowed(answer)).toEqual(methods.toSorted());
        return;
      }
      const answer = await refuse(api, [405, 'method_not_allowed'], method, path, { device });

      expect(allowed(answer)).toEqual(methods.toSorted());
    },
  );

  test('OPTIONS says which methods it takes, and does nothing', async () => {
    const before = await api.stored();

    const answer = await api.call('OPTIONS', path);

    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(allowed(answer)).toEqual(methods.toSorted());
    expect(await api.stored()).toEqual(before);
  });
});

describe('HEAD answers as GET does, without the body', () => {
  test.for(['/api/lock', '/api/state', '/api/health'])('%s', async (path) => {
    const got = await api.call('GET', path, { device });
    const head = await api.call('HEAD', path, { device });

    expect([head.status, head.text]).toEqual([got.status, '']);
    for (const name of ['etag', 'content-type', 'cache-control']) {
      expect(head.headers.get(name)).toBe(got.headers.get(name));
    }
  });

  test('a refused one too', async () => {
    const head = await api.call('HEAD', '/api/lock');

    expect([head.status, head.text]).toEqual([400, '']);
    expect(head.headers.get('content-type')).toBe('application/problem+json');
  });
});

describe('404 not_found', () => {
  test.for([
    ...(deployed ? [] : ['/']), // where the page of public/ is, in a deployment
    '/api',
    '/api/nothing',
    '/api/health/more',
    '/api/lock/x',
    '/API/LOCK',
    '/lib/app.ts',
  ])('there is nothing at %s, with any method', async (path) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      await refuse(api, [404, 'not_found'], method, path, { device });
    }
  });

  test('the path given is not told back', async () => {
    const { text } = await refuse(api, [404, 'not_found'], 'GET', '/api/secret-word');

    expect(text).not.toContain('secret-word');
  });
});

/** Calls with every kind of answer: 200, 204, 400, 401, 403, 404, 405. */
const answers: readonly (readonly [string, string, { device?: string }])[] = [
  ['GET', '/api/health', {}],
  ['GET', '/api/lock', { device }],
  ['DELETE', '/api/state', { device }],
  ['OPTIONS', '/api/turn', {}],
  ['GET', '/api/state', {}],
  ['GET', '/api/cron/cleanup', {}],
  ['GET', '/api/webhooks/whatsapp', {}],
  ['POST', '/api/webhooks/whatsapp', {}],
  ['GET', '/api/nothing', {}],
  ['PUT', '/api/health', {}],
];

describe.for(answers)('every answer: %s %s', ([method, path, options]) => {
  test('is not to be cached', async () => {
    const { headers } = await api.call(method, path, options);

    expect(headers.get('cache-control')).toBe('no-store');
  });

  test.for(['a', '7', 'req_0.1-A', 'x'.repeat(64)])(
    'carries the caller’s X-Request-Id %s',
    async (id) => {
      const { headers } = await api.call(method, path, {
        ...options,
        headers: { 'x-request-id': id },
      });

      expect(headers.get('x-request-id')).toBe(id);
    },
  );

  test.for([
    ['none', undefined],
    ['an empty one', ''],
    ['one of 65 characters', 'x'.repeat(65)],
    ['one with a space', 'a b'],
    ['two', 'a, b'],
    ['markup', '<b>'],
    ['letters beyond ASCII', 'réq'],
  ] as const)('carries an id of its own in place of %s', async ([, id]) => {
    const headers = id === undefined ? {} : { 'x-request-id': id };
    const ids = [];
    for (let i = 0; i < 2; i++) {
      const answer = await api.call(method, path, { ...options, headers });
      ids.push(answer.headers.get('x-request-id'));
    }

    for (const given of ids) {
      expect(given).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
      expect(given).not.toBe(id);
    }
    expect(ids[0]).not.toBe(ids[1]);
  });
});

describe('500 internal_error', () => {
  // nothing can be put into a deployment that throws
  test.skipIf(deployed)(
    'what nobody foresaw is a fixed sentence with the request id; neither it nor the log tells more',
    async () => {
      const thrown = new Error('SELECT secret FROM drawer; $1 = +15550100');
      const broken = await startApi(
        {},
        { storage: { ...api.app.storage, getLock: () => Promise.reject(thrown) } },
      );
      try {
        const headers = { 'x-request-id': 'to-be-found-again' };
        const answer = await broken.call('GET', '/api/lock', { device, headers });

        const { detail } = expectProblem(answer, 500, 'internal_error');
        expect(detail).toContain('to-be-found-again');
        expect(answer.text).not.toMatch(/drawer|15550100/);
        expect(broken.events).toContainEqual(
          expect.objectContaining({
            level: 'error',
            request_id: 'to-be-found-again',
            error: 'Error',
          }),
        );
        expect(JSON.stringify(broken.events)).not.toMatch(/drawer|15550100/);
      } finally {
        await broken.close();
      }
    },
  );
});
