import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Answer, type Api, DIGITS, startApi, TIME } from '../support/api.ts';
import { refuse } from '../support/problems.ts';

let api: Api;
let device: string;

beforeAll(async () => {
  api = await startApi({ DEFAULT_SESSION_TTL: '7200' });
});
beforeEach(() => {
  device = crypto.randomUUID();
});
afterAll(() => api.close());

const get = () => api.call('GET', '/api/lock', { device });
const put = (body: object, headers = {}) => api.call('PUT', '/api/lock', { device, body, headers });
const release = () => api.call('DELETE', '/api/lock', { device });

const held = z.strictObject({
  device_id: z.string(),
  active_agent: z.string(),
  locked_at: z.string().regex(TIME),
  expires_at: z.string().regex(TIME),
  session_ttl: z.int(),
  version: z.string().regex(DIGITS),
});

/** The answer's lock, and that the ETag names its version. */
function lockOf(answer: Answer): z.output<typeof held> {
  expect(answer.status).toBe(200);
  const lock = held.parse(answer.json);
  expect(answer.headers.get('etag')).toBe(`"${lock.version}"`);
  return lock;
}

/** Moves the lock of the device in time, as if it had been taken that much earlier. */
const letPass = (interval: string) =>
  api.sql(
    `UPDATE conversation_states SET lock_expires_at = lock_expires_at - $2::interval WHERE device_id = $1`,
    [device, interval],
  );

describe('GET 200', () => {
  test('a device never seen has no active agent, which is no error, and stays unknown', async () => {
    const before = await api.stored();

    const answer = await get();

    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ device_id: device, active_agent: null });
    expect(answer.headers.get('etag')).toBeNull();
    expect(await api.stored()).toEqual(before);
  });

  test('a held lock is told with its times, its TTL and its version', async () => {
    const written = lockOf(await put({ agent: 'scheduling', session_ttl: 60 }));

    expect(lockOf(await get())).toEqual(written);
  });

  test('If-None-Match is ignored: the lock is told again, not 304', async () => {
    const { version } = lockOf(await put({ agent: 'scheduling' }));

    for (const tag of [`"${version}"`, '*']) {
      const answer = await api.call('GET', '/api/lock', {
        device,
        headers: { 'if-none-match': tag },
      });
      expect(lockOf(answer).version).toBe(version);
    }
  });

  test('an expired lock does not exist, though nobody has cleaned it up', async () => {
    await put({ agent: 'scheduling', session_ttl: 60 });
    await letPass('60 seconds');

    const answer = await get();

    expect(answer.json).toEqual({ device_id: device, active_agent: null });
    expect(answer.headers.get('etag')).toBeNull();
  });
});

describe('PUT 200', () => {
  test('gives the conversation to an agent from now on for session_ttl seconds', async () => {
    const lock = lockOf(await put({ agent: 'support', session_ttl: 3_600 }));

    expect(lock).toMatchObject({ device_id: device, active_agent: 'support', session_ttl: 3_600 });
    expect(Date.parse(lock.expires_at) - Date.parse(lock.locked_at)).toBe(3_600_000);
    expect(Math.abs(Date.now() - Date.parse(lock.locked_at))).toBeLessThan(60_000);
  });

  test('without session_ttl an agent of this deployment gets its own TTL, any other DEFAULT_SESSION_TTL', async () => {
    expect(lockOf(await put({ agent: 'scheduling' })).session_ttl).toBe(3_600);
    expect(lockOf(await put({ agent: 'lives-elsewhere' })).session_ttl).toBe(7_200);
    expect(lockOf(await put({ agent: 'human' })).session_ttl).toBe(7_200);
  });

  test.for([1, 2_592_000])('session_ttl may be %i', async (seconds) => {
    expect(lockOf(await put({ agent: 'support', session_ttl: seconds })).session_ttl).toBe(seconds);
  });

  test.for(['a', '7', 'a-b_c', '0_', 'x'.repeat(50)])(
    'an agent may be called %s',
    async (agent) => {
      expect(lockOf(await put({ agent })).active_agent).toBe(agent);
    },
  );

  test('the same agent renews: later end, same version, same locked_at', async () => {
    const first = lockOf(await put({ agent: 'support', session_ttl: 60 }));
    await letPass('30 seconds');

    const second = lockOf(await put({ agent: 'support', session_ttl: 90 }));

    expect(second).toMatchObject({
      version: first.version,
      locked_at: first.locked_at,
      session_ttl: 90,
    });
    expect(Date.parse(second.expires_at)).toBeGreaterThan(Date.parse(first.expires_at));
  });

  test('another agent takes over under a new version', async () => {
    const first = lockOf(await put({ agent: 'support' }));

    const second = lockOf(await put({ agent: 'billing' }));

    expect(second.active_agent).toBe('billing');
    expect(second.version).not.toBe(first.version);
  });

  test('the same agent after the end of its lock holds anew, under a new version', async () => {
    const first = lockOf(await put({ agent: 'support', session_ttl: 60 }));
    await letPass('60 seconds');

    expect(lockOf(await put({ agent: 'support' })).version).not.toBe(first.version);
  });

  test('a version never comes back, also not after a DELETE', async () => {
    const versions = new Set<string>();
    for (let i = 0; i < 3; i++) {
      versions.add(lockOf(await put({ agent: 'support' })).version);
      await release();
    }
    expect(versions.size).toBe(3);
  });

  test('locks of two devices do not touch each other', async () => {
    const other = crypto.randomUUID();
    await put({ agent: 'support' });
    await api.call('PUT', '/api/lock', { device: other, body: { agent: 'billing' } });

    await api.call('DELETE', '/api/lock', { device: other });

    expect(lockOf(await get()).active_agent).toBe('support');
  });
});

describe('DELETE 204', () => {
  test('ends the holding', async () => {
    await put({ agent: 'support' });

    const answer = await release();

    expect([answer.status, answer.text]).toEqual([204, '']);
    expect((await get()).json).toEqual({ device_id: device, active_agent: null });
  });

  test('also when nothing was held, again and again, and stores nothing', async () => {
    const before = await api.stored();

    expect((await release()).status).toBe(204);
    expect((await release()).status).toBe(204);

    expect(await api.stored()).toEqual(before);
  });

  test('also when the lock has expired', async () => {
    await put({ agent: 'support', session_ttl: 60 });
    await letPass('60 seconds');

    expect((await release()).status).toBe(204);
    expect((await get()).json).toEqual({ device_id: device, active_agent: null });
  });
});

describe('PUT 400 invalid_request', () => {
  const invalid = [400, 'invalid_request'] as const;

  test.for([
    ['missing', undefined],
    ['null', null],
    ['a number', 7],
    ['a list', ['support']],
    ['empty', ''],
    ['in upper case', 'Support'],
    ['with a space', 'my agent'],
    ['with a dot', 'my.agent'],
    ['with a line break behind it', 'support\n'],
    ['with U+0000', 'sup\u0000port'],
    ['with half a surrogate pair', 'support\ud800'],
    ['beginning with -', '-support'],
    ['beginning with _', '_support'],
    ['with letters beyond ASCII', 'sébastien'],
    ['of 51 characters', 'x'.repeat(51)],
  ] as const)('the agent is %s', async ([, agent]) => {
    const { problem } = await refuse(api, invalid, 'PUT', '/api/lock', { device, body: { agent } });

    expect(problem.errors?.map(({ path }) => path)).toEqual(['agent']);
  });

  test.for([
    ['0', 0],
    ['-1', -1],
    ['2592001', 2_592_001],
    ['1.5', 1.5],
    ['a string', '60'],
    ['null', null],
    ['true', true],
  ] as const)('session_ttl is %s', async ([, ttl]) => {
    const body = { agent: 'support', session_ttl: ttl };
    const { problem } = await refuse(api, invalid, 'PUT', '/api/lock', { device, body });

    expect(problem.errors?.map(({ path }) => path)).toEqual(['session_ttl']);
  });

  test('session_ttl is 1e400, more than a number can hold', async () => {
    const raw = '{"agent":"support","session_ttl":1e400}';
    const { problem } = await refuse(api, invalid, 'PUT', '/api/lock', { device, raw });

    expect(problem.errors?.map(({ path }) => path)).toEqual(['session_ttl']);
  });

  test('each thing that is wrong has an entry of its own', async () => {
    const body = { agent: 'A', session_ttl: 0 };
    const { problem } = await refuse(api, invalid, 'PUT', '/api/lock', { device, body });

    expect(problem.errors?.map(({ path }) => path).toSorted()).toEqual(['agent', 'session_ttl']);
  });

  test('a refused PUT leaves the lock that stands as it is', async () => {
    const lock = lockOf(await put({ agent: 'support' }));

    await refuse(api, invalid, 'PUT', '/api/lock', { device, body: { agent: 'No' } });

    expect(lockOf(await get())).toEqual(lock);
  });
});
