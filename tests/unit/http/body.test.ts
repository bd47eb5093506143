import { describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import {
  BODY_LIMIT,
  check,
  parseObject,
  readBytes,
  requireType,
  WEBHOOK_LIMIT,
} from '../../../lib/http/body.ts';
import { codeOf } from '../../support/refusals.ts';

const url = 'http://localhost/api/lock';
const bytesOf = (text: string) => new TextEncoder().encode(text);

function requestOf(
  body: NonNullable<RequestInit['body']>,
  headers: Record<string, string> = {},
): Request {
  return new Request(url, { method: 'POST', body, headers, duplex: 'half' });
}

/** A body of unknown length in pieces; `taken` counts those that somebody asked for. */
function inPieces(size: number, pieces: number) {
  const counter = { taken: 0 };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (counter.taken === pieces) controller.close();
        else {
          counter.taken++;
          controller.enqueue(new Uint8Array(size).fill(120));
        }
      },
    },
    { highWaterMark: 0 },
  );
  return { body, counter };
}

/** A body that never ends; `drip` sends a byte of it. */
function dripping() {
  const source: { controller?: ReadableStreamDefaultController<Uint8Array> } = {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      source.controller = controller;
    },
  });
  return { body, drip: () => source.controller?.enqueue(Uint8Array.of(120)) };
}

describe('the limits', () => {
  it('are 1 MiB, and 4 MiB for webhooks', () => {
    expect([BODY_LIMIT, WEBHOOK_LIMIT]).toEqual([1_048_576, 4_194_304]);
  });
});

describe('readBytes', () => {
  it('gives the bytes as they came', async () => {
    const bytes = new Uint8Array([0, 255, 0xc3, 0x28, 13, 10]);
    expect([...(await readBytes(requestOf(bytes), 10))]).toEqual([...bytes]);
    expect((await readBytes(requestOf('{"a":"\\/"}'), 10)).byteLength).toBe(10);
  });

  it('gives nothing for no body', async () => {
    expect((await readBytes(new Request(url, { method: 'POST' }), 10)).byteLength).toBe(0);
  });

  it('puts pieces together', async () => {
    const { body } = inPieces(3, 3);
    expect(Buffer.from(await readBytes(requestOf(body), 9)).toString()).toBe('x'.repeat(9));
  });

  it('takes a body of exactly the limit, and refuses one byte more', async () => {
    expect((await readBytes(requestOf(inPieces(5, 2).body), 10)).byteLength).toBe(10);
    await expect(readBytes(requestOf(inPieces(11, 1).body), 10)).rejects.toMatchObject({
      code: 'body_too_large',
    });
  });

  it('reads no further once the limit is passed', async () => {
    const { body, counter } = inPieces(8, 1_000);
    await expect(readBytes(requestOf(body), 10)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(counter.taken).toBeLessThan(5);
  });

  it('believes a Content-Length that is too large without reading', async () => {
    const { body, counter } = inPieces(1, 1);
    await expect(readBytes(requestOf(body, { 'content-length': '11' }), 10)).rejects.toMatchObject({
      code: 'body_too_large',
    });
    expect(counter.taken).toBe(0);
  });

  it.each(['1', 'many', '-5'])(
    'does not believe a Content-Length of %s on a body that is larger',
    async (length) => {
      const { body } = inPieces(8, 2);
      await expect(
        readBytes(requestOf(body, { 'content-length': length }), 10),
      ).rejects.toMatchObject({ code: 'body_too_large' });
    },
  );

  it.each(['gzip', 'br', 'deflate', 'gzip, identity'])(
    'refuses Content-Encoding: %s, whose size could not be bounded',
    async (encoding) => {
      await expect(
        readBytes(requestOf('{}', { 'content-encoding': encoding }), 10),
      ).rejects.toMatchObject({ code: 'unsupported_media_type' });
    },
  );

  it('takes Content-Encoding: identity', async () => {
    expect(
      (await readBytes(requestOf('{}', { 'content-encoding': 'identity' }), 10)).byteLength,
    ).toBe(2);
  });

  it('waits 30 seconds for a body that drips in, and no longer', async () => {
    vi.useFakeTimers();
    try {
      const { body, drip } = dripping();
      const read = readBytes(requestOf(body), 1_000).catch((error: unknown) => error);
      for (let second = 0; second < 29; second++) {
        drip();
        await vi.advanceTimersByTimeAsync(1_000);
      }
      expect(body.locked).toBe(true);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await read).toMatchObject({ code: 'body_timeout' });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('leaves no clock behind', async () => {
    vi.useFakeTimers();
    try {
      await readBytes(requestOf('{}'), 10);
      await readBytes(requestOf('x'.repeat(11)), 10).catch(() => {});
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('takes a body that breaks off for a refusable one: nobody is left to read the answer', async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error('socket hang up')),
    });
    await expect(readBytes(requestOf(broken), 10)).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  it('says how large a body may be', async () => {
    await expect(readBytes(requestOf('x'.repeat(11)), 10)).rejects.toThrow('10 bytes');
  });
});

describe('requireType', () => {
  const typed = (type: string) => requestOf(bytesOf('{}'), { 'content-type': type });

  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/json;charset=UTF-8',
    ' application/json ',
  ])('takes %j for application/json', (type) => {
    expect(codeOf(() => requireType(typed(type), 'application/json'))).toBeNull();
  });

  it.each([
    'text/plain',
    'application/jsonp',
    'application/merge-patch+json',
    'application/x-www-form-urlencoded',
    'text/plain; application/json',
  ])('refuses %j', (type) => {
    expect(codeOf(() => requireType(typed(type), 'application/json'))).toBe(
      'unsupported_media_type',
    );
  });

  it('refuses a body without a type', () => {
    expect(codeOf(() => requireType(requestOf(bytesOf('{}')), 'application/json'))).toBe(
      'unsupported_media_type',
    );
  });
});

describe('parseObject', () => {
  it('gives the object', () => {
    expect(parseObject(bytesOf('{"a":[1,{"b":null}],"é":"😀"}'))).toEqual({
      a: [1, { b: null }],
      é: '😀',
    });
  });

  it('takes __proto__ for a key', () => {
    const parsed = parseObject(bytesOf('{"__proto__":{"a":1}}'));
    expect(Object.keys(parsed)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
  });

  it.each([
    '',
    ' ',
    '{',
    '{"a":1',
    "{'a':1}",
    '{"a":1}x',
    '{"a":1,}',
    'undefined',
    '{"a":NaN}',
    '{"a":"\u0000"}',
  ])('refuses %j as invalid_json', (text) => {
    expect(codeOf(() => parseObject(bytesOf(text)))).toBe('invalid_json');
  });

  it.each<[string, Uint8Array]>([
    ['a broken sequence', Uint8Array.of(0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d)],
    ['UTF-16', new Uint8Array(Buffer.from('{"a":1}', 'utf16le'))],
    ['an encoded surrogate', Uint8Array.of(0x7b, 0x22, 0xed, 0xa0, 0xbd, 0x22, 0x3a, 0x31, 0x7d)],
  ])('refuses what is not UTF-8 as invalid_json: %s', (_, bytes) => {
    expect(codeOf(() => parseObject(bytes))).toBe('invalid_json');
  });

  it.each(['[]', '[{"a":1}]', '"text"', '1', 'true', 'null'])(
    'refuses %s, which is JSON of another shape, as invalid_request',
    (text) => {
      expect(codeOf(() => parseObject(bytesOf(text)))).toBe('invalid_request');
    },
  );
});

describe('check', () => {
  const schema = z.object({
    agent: z.string(),
    replies: z.array(z.object({ content: z.string() })),
  });

  it('gives what fits', () => {
    const body = { agent: 'billing', replies: [{ content: 'hi' }] };
    expect(check(schema, body)).toEqual(body);
  });

  it('names every place that does not, by its path', () => {
    expect(() => check(schema, { replies: [{ content: 'hi' }, { content: 7 }, 'text'] })).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        fields: [
          { path: 'agent', message: expect.any(String) as string },
          { path: 'replies.1.content', message: expect.any(String) as string },
          { path: 'replies.2', message: expect.any(String) as string },
        ],
      }),
    );
  });

  it('does not repeat what was sent', () => {
    expect(() => check(schema, { agent: 12025550101, replies: [] })).not.toThrow(/12025550101/);
    expect(() => check(schema, { agent: 12025550101, replies: [] })).toThrow(
      expect.objectContaining({
        fields: [{ path: 'agent', message: expect.not.stringContaining('12025550101') as string }],
      }),
    );
  });
});
