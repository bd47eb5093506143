import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { within } from '../support/waiting.ts';

let api: Api;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const health = () => within(10, 'GET /api/health', api.call('GET', '/api/health'));

describe('200', () => {
  test('says ok, and how long the database took', async () => {
    const answer = await health();

    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.json).toEqual({
      status: 'ok',
      checks: {
        database: { ok: true, latency_ms: expect.any(Number) },
        cache: expect.objectContaining({ ok: true }),
      },
    });
  });

  test('needs neither a device nor a credential, and stores nothing', async () => {
    const before = await api.stored();

    expect((await health()).status).toBe(200);

    expect(await api.stored()).toEqual(before);
  });
});

describe('503', () => {
  test.for(['cut', 'hang'] as const)(
    'says down, in bounded time, when the wire to the database is gone: %s',
    async (fault) => {
      await health(); // leaves an idle connection, which is the hard case
      api.wire[fault]();
      try {
        const answer = await health();

        expect(answer.status).toBe(503);
        expect(answer.json).toMatchObject({
          status: 'down',
          checks: { database: { ok: false, latency_ms: expect.any(Number) } },
        });
      } finally {
        api.wire.resume();
      }
    },
  );

  test('says ok again as soon as the database is back', async () => {
    api.wire.cut();
    expect((await health()).status).toBe(503);
    api.wire.resume();

    expect((await health()).status).toBe(200);
  });
});
