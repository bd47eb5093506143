import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listenLocally } from '../../../dev/listen.ts';
import type { MediaLimits } from '../../../lib/channels/channel.ts';
import { createMediaFetcher } from '../../../lib/channels/whatsapp/media.ts';
import { readConfig } from '../../../lib/config.ts';
import type { JsonObject } from '../../../lib/json.ts';
import { said } from '../../support/turns.ts';

const TOKEN = 'the-access-token';

interface Asked {
  method: string | undefined;
  url: string;
  authorization: string | undefined;
}

let answer: (asked: Asked, response: ServerResponse) => void | Promise<void>;
const asked: Asked[] = [];
const server = createServer((request: IncomingMessage, response) => {
  const { method, url = '', headers } = request;
  asked.push({ method, url, authorization: headers.authorization });
  response.setHeader('connection', 'close');
  void answer({ method, url, authorization: headers.authorization }, response);
});
const graph = `http://127.0.0.1:${await listenLocally(server)}`;

beforeEach(() => {
  asked.length = 0;
});
afterEach(() => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
});

const picture: JsonObject = { kind: 'image', media: { id: '300/1', mime_type: 'image/jpeg' } };

function fetchMedia(
  {
    metadata = picture,
    limits,
    signal = new AbortController().signal,
  }: {
    metadata?: JsonObject;
    limits?: MediaLimits;
    signal?: AbortSignal;
  } = {},
  env: Record<string, string> = { WHATSAPP_ACCESS_TOKEN: TOKEN },
) {
  const result = readConfig({ WHATSAPP_API_URL: graph, ...env });
  const [message] = said('');
  if (!result.ok || message === undefined) throw new Error('a setting is wrong');
  const fetcher = createMediaFetcher(result.config.whatsapp);
  return fetcher({ ...message, metadata }, { account: '2000' }, signal, limits);
}

/** The Graph API tells where the file lies, and there it is. */
function serve(file: Uint8Array | string, told: JsonObject = {}): void {
  answer = ({ url }, response) => {
    const body = url.startsWith('/v26.0/')
      ? JSON.stringify({ url: `${graph}/file`, mime_type: 'image/jpeg', file_size: 3, ...told })
      : file;
    response.end(body);
  };
}

/** Meta's other hosts, whose names cannot be served here: each call goes to the stand-in instead. */
function behindTheStandIn(): { host: string; authorization: string | null }[] {
  const calls: { host: string; authorization: string | null }[] = [];
  const real = fetch;
  vi.stubGlobal('fetch', (input: URL, init: RequestInit) => {
    const target = new URL(input);
    const authorization = new Headers(init.headers).get('authorization');
    calls.push({ host: target.host, authorization });
    return real(new URL(`${target.pathname}${target.search}`, graph), init);
  });
  return calls;
}

describe('a file that a person sent', () => {
  it('is asked for at the Graph API, with the token and the number it came to', async () => {
    serve('abc');
    const { bytes, mimeType } = await fetchMedia();
    expect([Buffer.from(bytes).toString(), mimeType]).toEqual(['abc', 'image/jpeg']);
    const authorization = `Bearer ${TOKEN}`;
    expect(asked).toEqual([
      { method: 'GET', url: '/v26.0/300%2F1?phone_number_id=2000', authorization },
      { method: 'GET', url: '/file', authorization },
    ]);
  });

  it('has the type that its own answer gives, where the first gave none', async () => {
    answer = ({ url }, response) => {
      if (url === '/file') response.setHeader('content-type', 'audio/ogg');
      response.end(url === '/file' ? 'abc' : JSON.stringify({ url: `${graph}/file` }));
    };
    expect((await fetchMedia()).mimeType).toBe('audio/ogg');
  });

  it('is fetched from where Meta keeps files, and the token goes no further than that', async () => {
    answer = ({ url }, response) => {
      if (url === '/kept') {
        response.writeHead(302, { location: 'https://media.xx.fbcdn.net/signed?x=1' });
        return void response.end();
      }
      const told = JSON.stringify({ url: 'https://lookaside.fbsbx.com/kept' });
      response.end(url.startsWith('/v26.0/') ? told : 'abc');
    };
    const calls = behindTheStandIn();
    expect(Buffer.from((await fetchMedia()).bytes).toString()).toBe('abc');
    expect(calls).toEqual([
      { host: new URL(graph).host, authorization: `Bearer ${TOKEN}` },
      { host: 'lookaside.fbsbx.com', authorization: `Bearer ${TOKEN}` },
      { host: 'media.xx.fbcdn.net', authorization: null },
    ]);
  });

  it.each([
    'https://example.com/file',
    'https://fbcdn.net.example.com/file',
    'https://evilfbcdn.net/file',
    'http://lookaside.fbsbx.com/file',
    'https://lookaside.fbsbx.com@example.com/file',
    'http://169.254.169.254/latest',
    'file:///etc/passwd',
    'http://',
  ])('is not fetched from anywhere else: %s', async (url) => {
    for (const leads of ['told', 'redirected']) {
      asked.length = 0;
      answer = (question, response) => {
        if (question.url === '/file') response.writeHead(302, { location: url });
        response.end(JSON.stringify({ url: leads === 'told' ? url : `${graph}/file` }));
      };
      await expect(fetchMedia()).rejects.toMatchObject({ code: 'foreign_host' });
      expect(asked).toHaveLength(leads === 'told' ? 1 : 2);
    }
  });

  it('that leads round in a circle is given up', async () => {
    answer = (_, response) => {
      response.writeHead(302, { location: '/again' });
      response.end();
    };
    await expect(fetchMedia()).rejects.toMatchObject({ code: 'foreign_host' });
    expect(asked).toHaveLength(4);
  });

  it.each([
    ['by what is told of it', { file_size: 11 }, 'abc', 1],
    ['by what is told of it, in a string', { file_size: '11' }, 'abc', 1],
    ['by what comes', {}, 'x'.repeat(11), 2],
  ])('that is too large is given up: %s', async (_, told, file, calls) => {
    serve(file, told);
    await expect(fetchMedia({ limits: { maxBytes: 10 } })).rejects.toMatchObject({
      code: 'too_large',
    });
    expect(asked).toHaveLength(calls);
  });

  it('of exactly the size that is allowed is taken', async () => {
    serve('x'.repeat(10));
    expect((await fetchMedia({ limits: { maxBytes: 10 } })).bytes).toHaveLength(10);
  });

  it.each([
    [400, 'not_found'],
    [404, 'not_found'],
    [401, 'refused'],
    [403, 'refused'],
    [429, 'unreachable'],
    [500, 'unreachable'],
    [304, 'unreachable'],
  ])('refused with %i is %s', async (status, code) => {
    answer = (_, response) => {
      response.writeHead(status);
      response.end();
    };
    await expect(fetchMedia()).rejects.toMatchObject({ code });
  });

  it.each(['<html>', '[]', '{"url":7}', 'x'.repeat(70_000)])(
    'is not there where the Graph API does not make sense: %s',
    async (body) => {
      answer = (_, response) => void response.end(body);
      await expect(fetchMedia()).rejects.toMatchObject({ name: 'MediaError' });
      expect(asked).toHaveLength(1);
    },
  );

  it('that does not come in time is unreachable', async () => {
    answer = () => {};
    const late = fetchMedia({ limits: { timeoutMs: 50 } });
    await expect(late).rejects.toMatchObject({ code: 'unreachable' });
  });

  it("ends with the turn's own reason when the turn ends", async () => {
    const controller = new AbortController();
    answer = () => controller.abort(new Error('the turn is over'));
    await expect(fetchMedia({ signal: controller.signal })).rejects.toThrow('the turn is over');
  });

  it('is not asked for without a token', async () => {
    await expect(fetchMedia({}, {})).rejects.toMatchObject({ code: 'not_configured' });
    expect(asked).toEqual([]);
  });

  it.each<JsonObject>([{}, { kind: 'text' }, { kind: 'image' }, { kind: 'image', media: {} }])(
    'is none where the message has none: %j',
    async (metadata) => {
      await expect(fetchMedia({ metadata })).rejects.toMatchObject({ code: 'no_media' });
      expect(asked).toEqual([]);
    },
  );

  it('leaves neither token nor address in an error', async () => {
    answer = (_, response) => void response.destroy();
    const error: unknown = await fetchMedia().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'unreachable' });
    expect(`${(error as Error).stack}${JSON.stringify(error)}`).not.toMatch(
      /token|300\/1|:\/\/127/,
    );
  });
});
