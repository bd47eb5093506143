import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
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

const put = (agent: string, headers = {}) =>
  api.call('PUT', '/api/lock', { device, body: { agent }, headers });
const remove = (headers = {}) => api.call('DELETE', '/api/lock', { device, headers });
const holder = async () => (await api.call('GET', '/api/lock', { device })).json;
const held = (agent: string) => expect.objectContaining({ active_agent: agent });
const free = () => ({ device_id: device, active_agent: null });

/** Takes the lock and gives its ETag. */
async function take(agent: string): Promise<string> {
  const answer = await put(agent);
  expect(answer.status).toBe(200);
  return String(answer.headers.get('etag'));
}

const expire = () =>
  api.sql(`UPDATE conversation_states SET lock_expires_at = now() WHERE device_id = $1`, [device]);

/** Headers that do not fit a lock whose ETag is `etag`. */
const misfits: readonly (readonly [string, (etag: string) => string])[] = [
  ['another version', () => '"1"'],
  ['a list without it', () => '"1", "2"'],
  ['the weak form of it', (etag) => `W/${etag}`],
  ['it without its quotes', (etag) => etag.replaceAll('"', '')],
  ['it with a zero before it', (etag) => etag.replace('"', '"0')],
  ['a tag of somebody else', () => '"6d82-abc"'],
  ['a number beyond 64 bits', () => '"99999999999999999999999"'],
  ['no tag at all', () => 'latest'],
  ['nothing', () => ''],
];

describe('If-Match lets pass', () => {
  test.for<readonly [string, (etag: string) => string]>([
    ['the ETag that was read', (etag) => etag],
    ['a list with it', (etag) => `"1", ${etag},"2"`],
    ['*, while a lock stands', () => '*'],
  ])('%s: PUT 200, DELETE 204', async ([, header]) => {
    const first = await take('support');
    const second = await put('billing', { 'if-match': header(first) });
    expect([second.status, second.json]).toEqual([200, held('billing')]);

    const etag = String(second.headers.get('etag'));
    expect((await remove({ 'if-match': header(etag) })).status).toBe(204);
    expect(await holder()).toEqual(free());
  });

  test('a renewed lock under the ETag it had before: renewal keeps it', async () => {
    const etag = await take('support');
    expect(await take('support')).toBe(etag);

    expect((await put('billing', { 'if-match': etag })).status).toBe(200);
  });
});

describe('If-None-Match: * lets pass', () => {
  test('where nobody ever held', async () => {
    const answer = await put('support', { 'if-none-match': '*' });

    expect([answer.status, answer.json]).toEqual([200, held('support')]);
  });

  test('after a DELETE', async () => {
    await take('support');
    await remove();

    expect((await put('billing', { 'if-none-match': '*' })).status).toBe(200);
  });

  test('after the end of the lock, though nobody has cleaned it up', async () => {
    await take('support');
    await expire();

    const answer = await put('billing', { 'if-none-match': '*' });

    expect([answer.status, answer.json]).toEqual([200, held('billing')]);
  });

  test('exactly one of twenty at once', async () => {
    const agents = Array.from({ length: 20 }, (_, i) => `agent-${i}`);
    const answers = await Promise.all(agents.map((agent) => put(agent, { 'if-none-match': '*' })));

    expect(answers.map(({ status }) => status).toSorted()).toEqual([
      200,
      ...Array.from({ length: 19 }, () => 412),
    ]);
    const winner = agents[answers.findIndex(({ status }) => status === 200)];
    expect(await holder()).toMatchObject({ active_agent: winner });
  });
});

describe('412 version_conflict, nothing written', () => {
  describe.for(misfits)('If-Match is %s', ([, header]) => {
    test('PUT', async () => {
      const headers = { 'if-match': header(await take('support')) };
      await refuse(api, conflict, 'PUT', '/api/lock', {
        device,
        body: { agent: 'billing' },
        headers,
      });
    });

    test('DELETE', async () => {
      const headers = { 'if-match': header(await take('support')) };
      await refuse(api, conflict, 'DELETE', '/api/lock', { device, headers });
    });
  });

  test.for(['PUT', 'DELETE'])(
    'If-Match is the ETag of a holding that was followed by another: %s',
    async (method) => {
      const headers = { 'if-match': await take('support') };
      await take('billing');

      await refuse(api, conflict, method, '/api/lock', {
        device,
        body: { agent: 'sales' },
        headers,
      });
    },
  );

  test.for(['PUT', 'DELETE'])(
    'If-Match is the ETag of a lock that has expired: %s',
    async (method) => {
      const headers = { 'if-match': await take('support') };
      await expire();

      await refuse(api, conflict, method, '/api/lock', {
        device,
        body: { agent: 'support' },
        headers,
      });
    },
  );

  test.for(['PUT', 'DELETE'])('If-Match is *, and nobody holds: %s', async (method) => {
    const headers = { 'if-match': '*' };
    await refuse(api, conflict, method, '/api/lock', {
      device,
      body: { agent: 'support' },
      headers,
    });

    await take('support');
    await expire();
    await refuse(api, conflict, method, '/api/lock', {
      device,
      body: { agent: 'support' },
      headers,
    });
  });

  test('If-Match is the ETag of another device’s lock', async () => {
    const headers = { 'if-match': await take('support') };
    device = crypto.randomUUID();
    await take('support');

    await refuse(api, conflict, 'PUT', '/api/lock', {
      device,
      body: { agent: 'billing' },
      headers,
    });
  });

  test.for(['PUT', 'DELETE'])('If-None-Match is *, and somebody holds: %s', async (method) => {
    await take('support');
    const headers = { 'if-none-match': '*' };

    await refuse(api, conflict, method, '/api/lock', {
      device,
      body: { agent: 'billing' },
      headers,
    });
  });

  test('If-None-Match is *, also for the holder itself: that would be a renewal', async () => {
    await take('support');
    const headers = { 'if-none-match': '*' };

    await refuse(api, conflict, 'PUT', '/api/lock', {
      device,
      body: { agent: 'support' },
      headers,
    });
  });
});

describe('400 invalid_request: a condition that cannot be kept is refused, never ignored', () => {
  test.for<Record<string, string>>([
    { 'if-none-match': '"7"' },
    { 'if-none-match': '*', 'if-match': '*' },
  ])('%o', async (headers) => {
    await take('support');

    const body = { agent: 'billing' };
    await refuse(api, [400, 'invalid_request'], 'PUT', '/api/lock', { device, body, headers });
    await refuse(api, [400, 'invalid_request'], 'DELETE', '/api/lock', { device, headers });
  });
});
