import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { documented } from '../../dev/openapi/document.ts';
import { type Api, startApi } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';

// One kind of trouble at a time, for every operation it could trouble. What each field may hold is asked beside the
// route it belongs to; here it is what any caller can do to any route.

let api: Api;
beforeAll(async () => {
  api = await startApi({ REPLY_WAIT: '0', WHATSAPP_APP_SECRET: 'an app secret' });
});
afterAll(() => api.close());

/** A kilobyte that unfolds to a megabyte. */
const bomb = Uint8Array.from(gzipSync(Buffer.alloc(1_000_000, '0')));
const SESSION = '7d444840-9dc0-41d1-b245-5ffdce74fad2';

const pathOf = (path: string, id = SESSION) =>
  path.replace('{id}', id).replace('{user_id}', encodeURIComponent(id));

const all = documented().map(({ method, path, doc }) => ({
  name: `${method} ${path}`,
  method,
  path,
  doc,
  type: doc.body?.type ?? 'application/json',
}));
// a signature is checked before its body is read as JSON
const withBody = all.filter(({ doc, path }) => doc.body && path !== '/api/webhooks/whatsapp');

/** Documents that a parser, a stack or a database may choke on. */
const documents: readonly (readonly [string, string])[] = [
  ['20,000 lists deep', '['.repeat(20_000) + ']'.repeat(20_000)],
  ['20,000 objects deep', `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`],
  ['20,000 deep in a field', `{"state":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`],
  ['a number of 100,000 digits', `{"state":{"a":${'9'.repeat(100_000)}}}`],
  ['a number beyond double precision', '{"state":{"a":1e400},"a":-1e400}'],
  ['100,000 keys', `{"state":{${Array.from({ length: 50_000 }, (_, i) => `"k${i}":1`).join()}}}`],
  ['the same key twice', '{"state":{"a":1,"a":2},"agent":"a","agent":"../x"}'],
  ['__proto__ everywhere', '{"__proto__":{"agent":"x","token":"1","content":"x"},"constructor":1}'],
  ['a number for everything', '{"agent":1,"state":1,"token":1,"message":1,"content":1,"code":1}'],
  [
    'bytes that are no UTF-8',
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('latin1'),
  ],
];

describe.each(withBody)('$name', ({ method, path, type }) => {
  test.each(documents)(
    'a body with %s is answered or refused, and the next one answered',
    async (_, raw) => {
      const device = crypto.randomUUID();
      const answer = await api.call(method, pathOf(path), {
        device,
        type,
        raw: Uint8Array.from(Buffer.from(raw, 'latin1')),
      });
      await api.settled();
      expect(answer.status, answer.text).toBeLessThan(500);
      expect(answer.status === 200 || answer.status === 201 || answer.text.length < 2_000).toBe(
        true,
      );
      expect((await api.call('GET', '/api/lock', { device })).status).toBe(200);
      expect(Object.hasOwn(Object.prototype, 'agent')).toBe(false);
    },
  );

  test.each(['gzip', 'br', 'deflate', 'zstd', 'gzip, gzip'])(
    'a body in %s is refused: nobody could bound what it unfolds to',
    async (encoding) => {
      const answer = await api.call(method, pathOf(path), {
        device: crypto.randomUUID(),
        type,
        raw: bomb,
        headers: { 'content-encoding': encoding },
      });
      expectProblem(answer, 415, 'unsupported_media_type');
    },
  );
});

/** What is no id of anything. */
const noIds = [
  'not-an-id',
  '0',
  '-1',
  'null',
  '7d4448409dc041d1b2455ffdce74fad2',
  '{7d444840-9dc0-41d1-b245-5ffdce74fad2}',
  '7d444840-9dc0-41d1-b245-5ffdce74fad',
  '7d444840-9dc0-41d1-b245-5ffdce74fad2 ',
  '7d444840-9dc0-41d1-b245-5ffdce74fadg',
  "' OR 1=1 --",
  '../../lock',
  'x'.repeat(2_000),
];

describe.each(all.filter(({ path }) => path.includes('{id}')))(
  '$name',
  ({ method, path, type, doc }) => {
    test.each(noIds)('a session called %s is one that is not there', async (id) => {
      const answer = await api.call(method, pathOf(path, encodeURIComponent(id)), {
        device: crypto.randomUUID(),
        type,
        ...(doc.body && { body: { message: 'hello' } }),
      });
      expectProblem(answer, 404, 'session_not_found');
    });
  },
);

describe.each(all.filter(({ doc }) => doc.device === 'required'))(
  '$name',
  ({ method, path, type, doc }) => {
    test.each(noIds)('X-Device-ID: %s is refused before anything else is looked at', async (id) => {
      // a header loses its spaces on the way
      if (id.trim() === SESSION) return expect(id).not.toBe(SESSION);
      const answer = await api.call(method, pathOf(path), {
        headers: { 'x-device-id': id },
        type,
        ...(doc.body && { body: {} }),
      });
      expectProblem(answer, 400, 'invalid_device_id');
    });
  },
);

test.each([
  ['X-Request-Id', 'a\tb'],
  ['X-Request-Id', 'a; Set-Cookie: x=1'],
  ['If-Match', '"1"; drop'],
  ['Prefer', 'return=representation\t, x'],
  ['Origin', 'https://evil.example'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-HTTP-Method-Override', 'DELETE'],
])('%s: %s changes no header of the answer', async (name, value) => {
  const device = crypto.randomUUID();
  const plain = await api.call('GET', '/api/lock', { device });
  const answer = await api.call('GET', '/api/lock', { device, headers: { [name]: value } });
  const namesOf = (headers: Headers) => [...headers.keys()].toSorted();
  expect(namesOf(answer.headers)).toEqual(namesOf(plain.headers));
  expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
  expect(JSON.stringify([...answer.headers])).not.toContain('evil');
});

test('a line of the log is a line, whatever was sent', async () => {
  const forged = 'a","level":"info"}\n{"event":"forged"}\u001b[2J\u202e';
  await api.call('PUT', '/api/state', {
    device: forged.replaceAll(/[^\x20-\x7e]/g, ''),
    body: { state: {} },
  });
  const device = crypto.randomUUID();
  await api.call('POST', '/api/webhooks/web', {
    device,
    body: { message: forged, message_id: forged },
  });
  await api.call('DELETE', '/api/device', { device });
  await api.settled();
  const lines = api.events.map((event) => JSON.stringify(event));
  expect(lines.join('')).not.toContain('forged');
});
