import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, deployed, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { callsWithBody } from './calls.ts';

let api: Api;
let device: string;

beforeAll(async () => {
  api = await startApi();
});
beforeEach(() => {
  device = crypto.randomUUID();
});
afterAll(() => api.close());

const MIB = 1_048_576;
const bytes = (text: string) => new TextEncoder().encode(text);

/** JSON padded with spaces to a number of bytes. */
const padded = (body: unknown, size: number) => bytes(JSON.stringify(body).padEnd(size));

/** A body whose length nobody announces. */
function streamed(content: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  const parts = [content.subarray(0, 1_000), content.subarray(1_000)];
  return ReadableStream.from(parts);
}

describe.for(callsWithBody)('%s %s', ([method, path, options]) => {
  const limit = path === '/api/webhooks/web' ? 4 * MIB : MIB;
  const refused = (status: number, code: string, more: CallOptions) =>
    refuse(api, [status, code], method, path, { ...options, device, ...more });

  describe('415 unsupported_media_type', () => {
    test.for([
      'none',
      '',
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonp',
      'text/json',
      options.type === undefined ? 'application/merge-patch+json' : 'application/json',
    ])('Content-Type is %s', async (type) => {
      await refused(415, 'unsupported_media_type', { type: type === 'none' ? null : type });
    });
  });

  test('the media type may be in any case and carry parameters', async () => {
    const type = `${(options.type ?? 'application/json').toUpperCase()} ; charset=utf-8`;
    const answer = await api.call(method, path, { ...options, device, type });

    // 409: the turn of the example is nobody's, which is found out after the body was read
    expect([200, 409]).toContain(answer.status);
    await api.settled();
  });

  describe('413 body_too_large', () => {
    const content = padded(options.body, limit + 1);

    test('one byte over the limit, announced by Content-Length', async () => {
      const headers = { 'content-length': String(content.byteLength) };
      await refused(413, 'body_too_large', { raw: content, headers });
    });

    test('one byte over the limit, in pieces and not announced', async () => {
      await refused(413, 'body_too_large', { raw: streamed(content) });
    });

    // over the wire, what follows the announced length is the beginning of another request
    test.skipIf(deployed)('one byte over the limit, announced as less', async () => {
      const headers = { 'content-length': '10' };
      await refused(413, 'body_too_large', { raw: content, headers });
    });

    test('announced as over the limit: refused before it is read', async () => {
      const neverEnding = new ReadableStream<Uint8Array>({
        pull: () => new Promise<void>(() => {}),
      });
      const headers = { 'content-length': String(limit + 1) };
      await refused(413, 'body_too_large', { raw: neverEnding, headers });
    });

    test('not of a body of exactly the limit', async () => {
      const raw = padded(options.body, limit);
      const answer = await api.call(method, path, { ...options, device, raw });

      expect([200, 409]).toContain(answer.status);
      await api.settled();
    });
  });

  describe('400 invalid_json', () => {
    test.for([
      ['empty', ''],
      ['blank', ' \n'],
      ['cut off', '{"agent":"support"'],
      ['followed by more', '{"agent":"support"} {}'],
      ['a form', 'agent=support'],
      ['with single quotes', "{'agent':'support'}"],
      ['with a comment', '{"agent":"support"/* me */}'],
      ['with a trailing comma', '{"agent":"support",}'],
      ['NaN', '{"agent":NaN}'],
      ['a word', 'undefined'],
      ['with a raw line break in a string', '{"agent":"a\nb"}'],
      ['with a raw U+0000', '{"agent":"a\u0000b"}'],
    ] as const)('the body is %s', async ([, raw]) => {
      await refused(400, 'invalid_json', { raw });
    });

    test.for([
      ['a byte that UTF-8 has not', [0xff]],
      ['a cut character', [0xc3]],
      ['an overlong character', [0xc0, 0xaf]],
      ['half a surrogate pair', [0xed, 0xa0, 0x80]],
    ] as const)('the body is not UTF-8: %s', async ([, broken]) => {
      const raw = Uint8Array.from([...bytes('{"agent":"'), ...broken, ...bytes('"}')]);
      await refused(400, 'invalid_json', { raw });
    });

    test('the body is UTF-16', async () => {
      const raw = Uint8Array.from(Buffer.from(JSON.stringify(options.body), 'utf16le'));
      await refused(400, 'invalid_json', { raw });
    });
  });

  test('400 invalid_request with errors: the body is JSON, but no object', async () => {
    for (const raw of ['[]', '[{"agent":"support"}]', '"text"', '7', 'true', 'null']) {
      const { problem } = await refused(400, 'invalid_request', { raw });

      expect(problem.errors, raw).toEqual([expect.anything()]);
    }
  });
});

describe('400 invalid_request names the path of what is wrong', () => {
  const post = '/api/turn';
  test.for<readonly [string, string, object, string[]]>([
    ['POST', '/api/webhooks/web', {}, ['message']],
    ['POST', '/api/webhooks/web', { message: 7 }, ['message']],
    ['POST', '/api/webhooks/web', { message: null }, ['message']],
    ['POST', '/api/webhooks/web', { message: ['Hello'] }, ['message']],
    ['POST', '/api/webhooks/web', { message: 'Hello', message_id: 7 }, ['message_id']],
    ['POST', '/api/webhooks/web', { message: 'Hello', message_id: '' }, ['message_id']],
    ['POST', '/api/webhooks/web', { message: 'Hello', metadata: [] }, ['metadata']],
    ['POST', '/api/webhooks/web', { message: 'Hello', metadata: 'x' }, ['metadata']],
    ['POST', '/api/webhooks/web', { message: 'Hello', metadata: null }, ['metadata']],
    [
      'POST',
      '/api/webhooks/web',
      { message_id: 7, metadata: 7 },
      ['message', 'message_id', 'metadata'],
    ],
    ['POST', post, { message_id: 'm1', content: 7 }, ['content']],
    ['POST', post, { message_id: 7, content: 'Hello' }, ['message_id']],
    ['POST', post, { message_id: '', content: 'Hello' }, ['message_id']],
    ['POST', post, { message_id: 'm1', content: 'Hello', metadata: [] }, ['metadata']],
    ['POST', post, { message_id: 'm1' }, ['']],
    ['POST', post, { content: 'Hello' }, ['']],
    ['PUT', post, {}, ['token']],
    ['PUT', post, { token: 981 }, ['token']],
    ['PUT', post, { token: '' }, ['token']],
    ['PUT', post, { token: '-1' }, ['token']],
    ['PUT', post, { token: '0x1f' }, ['token']],
    ['PUT', post, { token: '1; DROP TABLE chat_messages' }, ['token']],
    ['PUT', post, { token: '1', replies: {} }, ['replies']],
    ['PUT', post, { token: '1', replies: null }, ['replies']],
    ['PUT', post, { token: '1', replies: ['Hi'] }, ['replies.0']],
    ['PUT', post, { token: '1', replies: [{}] }, ['replies.0.content']],
    [
      'PUT',
      post,
      { token: '1', replies: [{ content: 'Hi' }, { content: 7 }] },
      ['replies.1.content'],
    ],
    [
      'PUT',
      post,
      { token: '1', replies: [{ content: 'Hi', metadata: [] }] },
      ['replies.0.metadata'],
    ],
    ['PUT', post, { token: '1', state: [] }, ['state']],
    ['PUT', post, { token: '1', state: null }, ['state']],
    ['PUT', post, { token: '1', state_patch: 'x' }, ['state_patch']],
    ['PUT', post, { token: '1', agent: 'No' }, ['agent']],
    ['PUT', post, { token: '1', agent: '' }, ['agent']],
    ['PUT', post, { token: '1', agent: 7 }, ['agent']],
    ['PUT', post, { token: '1', agent: 'x', session_ttl: 0 }, ['session_ttl']],
    ['PUT', post, { token: '1', agent: 'x', session_ttl: 2_592_001 }, ['session_ttl']],
    ['PUT', post, { token: '1', agent: 'x', session_ttl: 1.5 }, ['session_ttl']],
    ['PUT', post, { token: '1', complete: 'yes' }, ['complete']],
    ['PUT', post, { token: '1', state: {}, state_patch: {} }, ['']],
    ['PATCH', post, {}, ['token']],
    ['PATCH', post, { token: 1 }, ['token']],
    ['DELETE', post, {}, ['token']],
    ['DELETE', post, { token: 1 }, ['token']],
  ])('%s %s %j', async ([method, path, body, paths]) => {
    const { problem } = await refuse(api, [400, 'invalid_request'], method, path, { device, body });

    expect(problem.errors?.map((error) => error.path).toSorted()).toEqual(paths);
  });
});
