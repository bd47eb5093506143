import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { useApp } from '../../lib/app.ts';
import { type LogEvent, setSink } from '../../lib/log.ts';
import { send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { routes } from './calls.ts';

let events: LogEvent[];

beforeEach(() => {
  events = [];
  setSink((event) => events.push(event));
  useApp(null);
  vi.stubEnv('DATABASE_URL', 'postgres://reader:hidden-password@127.0.0.1:1/baton');
});
afterEach(() => {
  vi.unstubAllEnvs();
  useApp(null);
});

describe('503 not_configured', () => {
  test.for([
    ['TURN_LEASE', '0'],
    ['TURN_LEASE', '801'],
    ['REPLY_WAIT', 'soon'],
    ['SESSION_MAX_MESSAGES', '101'],
    ['API_KEYS', 'too-short-hidden'],
    ['CRON_SECRET', 'too-short-hidden'],
    ['DATABASE_URL', 'mysql://hidden-password@127.0.0.1/baton'],
    ['STORAGE', 'paper'],
    ['STATELESS_FALLBACK', 'maybe'],
    ['LOG_LEVEL', 'loud'],
    ['WHATSAPP_API_URL', 'graph.facebook.com'],
  ] as const)(
    '%s=%s: the log names it, the answer says no more than that',
    async ([name, value]) => {
      vi.stubEnv(name, value);

      for (const [path, [method = 'GET']] of routes) {
        const answer = await send(method, path, { device: crypto.randomUUID() });

        expectProblem(answer, 503, 'not_configured');
        expect(answer.text).not.toContain(name);
        expect(answer.text).not.toContain('hidden');
      }
      expect(events).toContainEqual(
        expect.objectContaining({ level: 'error', mistakes: [expect.stringContaining(name)] }),
      );
      expect(JSON.stringify(events)).not.toContain('hidden');
    },
  );

  test('DATABASE_URL is not set: a deployed function never brings a database of its own', async () => {
    vi.stubEnv('DATABASE_URL', undefined);

    for (const [path, [method = 'GET']] of routes) {
      const answer = await send(method, path, { device: crypto.randomUUID() });
      expectProblem(answer, 503, 'not_configured');
    }
  });

  test('is not remembered: once the setting is right the next request is served', async () => {
    vi.stubEnv('TURN_LEASE', '0');
    expectProblem(await send('GET', '/api/health', {}), 503, 'not_configured');

    vi.stubEnv('TURN_LEASE', '60');

    // nothing listens at that address, and health says so
    expect((await send('GET', '/api/health', {})).json).toMatchObject({ status: 'down' });
  });
});
