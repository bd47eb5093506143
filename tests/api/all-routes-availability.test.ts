import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Answer, type Api, startApi } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { within } from '../support/waiting.ts';
import { type Call, deviceCalls } from './calls.ts';

const CRON = 'secret-of-the-cron-which-is-long-1';
const calls: readonly Call[] = [
  ...deviceCalls,
  ['GET', '/api/cron/cleanup', { headers: { authorization: `Bearer ${CRON}` } }],
];

let api: Api;

beforeAll(async () => {
  api = await startApi({ CRON_SECRET: CRON });
});
afterAll(() => api.close());

const call = ([method, path, options]: Call) =>
  within(
    10,
    `${method} ${path}`,
    api.call(method, path, { device: crypto.randomUUID(), ...options }),
  );

function expectUnavailable(answer: Answer): void {
  expectProblem(answer, 503, 'storage_unavailable');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(answer.text).not.toMatch(/ECONN|127\.0\.0\.1|postgres/i);
}

describe.for(['cut', 'hang'] as const)(
  '503 storage_unavailable with Retry-After, in bounded time: %s',
  (fault) => {
    beforeEach(async () => {
      // leaves idle connections, which look well and are dead
      await Promise.all(Array.from({ length: 5 }, () => call(['GET', '/api/lock', {}])));
      api.wire[fault]();
    });
    afterEach(async () => {
      api.wire.resume();
      await api.settled();
    });

    test('every route that needs the database', async () => {
      const answers = await Promise.all(calls.map(call));

      for (const answer of answers) expectUnavailable(answer);
      // the log has the code, and no address, statement or parameter
      expect(api.events).toContainEqual(
        expect.objectContaining({
          level: 'error',
          code: 'storage_unavailable',
          path: '/api/state',
        }),
      );
      expect(JSON.stringify(api.events)).not.toMatch(/Hello|insert into|127\.0\.0\.1/i);
    });

    test('guarded writes too', async () => {
      const guarded = calls
        .filter(([method, path]) => /lock|state/.test(path) && method !== 'GET')
        .map(([method, path, options]): Call => [
          method,
          path,
          { ...options, headers: { 'if-match': '*' } },
        ]);

      for (const answer of await Promise.all(guarded.map(call))) expectUnavailable(answer);
    });

    test('what is wrong with the request itself is told all the same', async () => {
      const answer = await call(['PUT', '/api/lock', { body: { agent: 'No' } }]);

      expectProblem(answer, 400, 'invalid_request');
    });
  },
);

test('once the database is back every route answers again, without a restart', async () => {
  api.wire.cut();
  expectUnavailable(await call(['GET', '/api/lock', {}]));
  api.wire.resume();

  for (const each of calls) {
    const answer = await call(each);
    expect([200, 204, 409], `${each[0]} ${each[1]} ${answer.text}`).toContain(answer.status);
    await api.settled();
  }
});

test('a connection that died in the pool is not noticed by a caller: the next one is taken', async () => {
  await call(['GET', '/api/lock', {}]);
  await api.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'baton' AND datname = current_database()`,
  );

  expect((await call(['GET', '/api/lock', {}])).status).toBe(200);
});
