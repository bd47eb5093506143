import { expect, it } from 'vitest';
import { operations } from '../../lib/http/operations.ts';
import { writing } from './routes.ts';

it('every route that writes has its place among the faults', () => {
  const wanted = Object.entries(operations).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => method !== 'GET')
      .map((method) => `${method} ${path}`),
  );
  const played = new Set(writing.map(({ name }) => name.split(', ')[0]));
  expect(wanted.filter((name) => !played.has(name))).toEqual([]);
  // the one GET that writes
  expect(played).toContain('GET /api/cron/cleanup');
});
