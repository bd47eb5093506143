import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { startServer } from '../../dev/server.ts';
import type { DevServer } from '../../dev/server.ts';

const dispatcher = (body: string) => `
  async function dispatch(request) { ${body} }
  export { dispatch as GET, dispatch as HEAD, dispatch as POST, dispatch as PUT,
    dispatch as PATCH, dispatch as DELETE, dispatch as OPTIONS };`;

const project: Readonly<Record<string, string>> = {
  'vercel.json': JSON.stringify({
    cleanUrls: true,
    rewrites: [
      { source: '/api/device/:id/lock', destination: '/api/echo' },
      { source: '/api/things/:id', destination: '/api/echo' },
    ],
    redirects: [{ source: '/old', destination: '/page', permanent: true }],
    headers: [
      { source: '/(.*)', headers: [{ key: 'X-Content-Type-Options', value: 'nosniff' }] },
      { source: '/api/(.*)', headers: [{ key: 'Cache-Control', value: 'from-settings' }] },
    ],
  }),
  'api/echo.ts': dispatcher(`
    if (request.method === 'OPTIONS') {
      const id = request.headers.get('x-request-id') ?? 'made-up';
      return new Response(null, { status: 204, headers: { Allow: 'GET, POST', 'X-Request-Id': id } });
    }
    const body = await request.text();
    const headers = { 'Cache-Control': 'no-store', 'X-Body': String(body.length) };
    return Response.json({ method: request.method, url: request.url, body }, { headers });`),
  'api/webhooks/web.ts': dispatcher(`return new Response('web');`),
  'api/chat/[id].ts': dispatcher(`return new Response(request.url);`),
  'api/throws.ts': dispatcher(`throw new Error('secret words');`),
  'api/nothing.ts': dispatcher(`return undefined;`),
  'api/broken.ts': 'this is no TypeScript',
  'api/get-only.ts': `export const GET = () => new Response('got');`,
  'api/early.ts': dispatcher(`return new Response('enough', { status: 413 });`),
  'api/later.ts': dispatcher(`
    const context = globalThis[Symbol.for('@vercel/request-context')].get();
    context.waitUntil((async () => {
      await new Promise((done) => setTimeout(done, 200));
      globalThis.batonLater = 'done';
    })());
    context.waitUntil(Promise.reject(new Error('after-work failed')));
    return new Response('now');`),
  'api/patient.ts': dispatcher(`
    globalThis.batonLeft = new Promise((left) => {
      request.signal.addEventListener('abort', () => left('left'));
    });
    await globalThis.batonLeft;
    return new Response('too late');`),
  'api/streams.ts': dispatcher(`
    return new Response(ReadableStream.from(['one ', 'two ', 'three']).pipeThrough(
      new TextEncoderStream()));`),
  'api/_helper.ts': dispatcher(`return new Response('not a route');`),
  'lib/secret.ts': 'export const secret = 1;',
  'public/index.html': '<h1>home</h1>',
  'public/page.html': '<h1>page</h1>',
  'public/app.css': 'body {}',
};

const echoed = z.object({ url: z.string() });

let root: string;
let server: DevServer;
let errors: unknown[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'baton-server-'));
  for (const [name, content] of Object.entries(project)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
});

beforeEach(async () => {
  errors = [];
  server = await startServer({ port: 0, root, onError: (error) => errors.push(error) });
});

afterEach(() => server.close());
afterAll(() => rm(root, { recursive: true, force: true }));

const get = (path: string, init?: RequestInit) =>
  fetch(server.url + path, { redirect: 'manual', ...init });

/** What fetch cannot send: any method, any target, any byte. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  return text(socket);
}

describe('functions', () => {
  test('answer under their path, nested ones too', async () => {
    expect(await (await get('/api/webhooks/web')).text()).toBe('web');
    const echo = await get('/api/echo?a=1', { method: 'POST', body: 'hällo' });
    expect(await echo.json()).toEqual({
      method: 'POST',
      url: `${server.url}/api/echo?a=1`,
      body: 'hällo',
    });
  });

  test.each(['/api/device/7/lock?b=2', '/api/things/a%20b?id=mine'])(
    'a rewrite keeps the path %s, and puts its own query behind',
    async (path) => {
      const echo = echoed.parse(await (await get(path)).json());
      const url = new URL(echo.url);
      expect(url.href.startsWith(server.url + path)).toBe(true);
      expect(url.searchParams.getAll('id').at(-1)).toBe(path.includes('7') ? '7' : 'a b');
    },
  );

  test('a [param] matches one segment and arrives in the path', async () => {
    const url = new URL(await (await get('/api/chat/x-1')).text());
    expect(url.pathname).toBe('/api/chat/x-1');
    expect(url.searchParams.get('id')).toBe('x-1');
    expect((await get('/api/chat/x/y')).status).toBe(404);
  });

  test('a method without an export of its own goes to GET', async () => {
    const answer = await raw(`PROPFIND /api/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toContain('"method":"PROPFIND"');
  });

  test.each(['TRACE', 'CONNECT'])('%s is refused with what the function allows', async (method) => {
    const answer = await raw(
      `${method} /api/echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-1\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 405 /);
    expect(answer).toMatch(/^allow: GET, POST\r$/im);
    expect(answer).toMatch(/^x-request-id: mine-1\r$/im);
    expect(answer).toContain('"code":"method_not_allowed"');
  });

  test.each(['BREW /api/echo HTTP/1.1', 'GET', '\0'])(
    'what cannot be read is refused with what to send: %j',
    async (line) => {
      const answer = await raw(`${line}\r\nHost: x\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 400 /);
      expect(answer).toMatch(/^content-type: application\/problem\+json\r$/im);
      expect(answer).toContain('"code":"invalid_request"');
    },
  );

  test('a method that is not exported is refused', async () => {
    const answer = await get('/api/get-only', { method: 'DELETE' });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET');
    expect(await answer.json()).toMatchObject({
      code: 'method_not_allowed',
      detail: 'Use a method that this path takes: GET',
    });
  });

  test('HEAD gets the headers only', async () => {
    const answer = await get('/api/echo', { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-body')).toBe('0');
    expect(await answer.text()).toBe('');
  });

  test('an answer streams', async () => {
    expect(await (await get('/api/streams')).text()).toBe('one two three');
  });

  test.each(['/api/throws', '/api/nothing', '/api/broken'])(
    '%s fails as 500 without its words, and is reported',
    async (path) => {
      const answer = await get(path);
      expect(answer.status).toBe(500);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(await answer.json()).toEqual({
        type: 'about:blank',
        title: 'Internal Server Error',
        status: 500,
        detail: 'The function failed; look for why where this server prints',
        code: 'internal_error',
      });
      expect(errors).toHaveLength(1);
      expect((await get('/api/webhooks/web')).status).toBe(200);
    },
  );

  test('an answer before the body was read leaves the connection usable', async () => {
    for (let i = 0; i < 3; i++) {
      const answer = await get('/api/early', { method: 'POST', body: 'x'.repeat(5_000_000) });
      expect([answer.status, await answer.text()]).toEqual([413, 'enough']);
    }
  });

  test('a function hears that its caller left', async () => {
    const call = request(`${server.url}/api/patient`).end();
    call.on('error', () => undefined);
    await expect.poll(() => 'batonLeft' in globalThis).toBe(true);
    call.destroy();
    expect(await Reflect.get(globalThis, 'batonLeft')).toBe('left');
  });
});

describe('files and settings', () => {
  test.each([
    ['/', '<h1>home</h1>', 'text/html; charset=utf-8'],
    ['/page', '<h1>page</h1>', 'text/html; charset=utf-8'],
    ['/app.css', 'body {}', 'text/css; charset=utf-8'],
  ])('%s is a file of public/', async (path, content, type) => {
    const answer = await get(path);
    expect(await answer.text()).toBe(content);
    expect(answer.headers.get('content-type')).toBe(type);
    expect((await get(path, { method: 'POST' })).status).toBe(405);
  });

  test.each([
    ['/page.html', '/page'],
    ['/old?x=1', '/page?x=1'],
    ['/api/echo.ts', '/api/echo'],
  ])('%s redirects to %s', async (path, location) => {
    const answer = await get(path);
    expect([answer.status, answer.headers.get('location')]).toEqual([308, location]);
  });

  test('headers of the settings give way to the function', async () => {
    const answer = await get('/api/echo');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect((await get('/api/webhooks/web')).headers.get('cache-control')).toBe('from-settings');
  });

  test.each(['/nothing', '/api/nowhere', '/api/_helper', '/lib/secret.ts', '/vercel.json'])(
    '%s is not served',
    async (path) => {
      const answer = await get(path);
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ code: 'not_found', status: 404 });
    },
  );

  test.each(['/../lib/secret.ts', '/%2e%2e/lib/secret.ts', '/..%2flib%2fsecret.ts', '/%', '//x/y'])(
    'the odd path %s leads nowhere',
    async (path) => {
      const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 404 /);
    },
  );
});

test.each([
  'nonsense\r\n\r\n',
  'GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET http://other/api/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'CONNECT other:443 HTTP/1.1\r\nHost: other\r\n\r\n',
  'POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
  'POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n',
])('malformed request %j is answered 400 and harms nobody', async (bytes) => {
  expect(await raw(bytes)).toMatch(/^HTTP\/1.1 400 /);
  expect((await get('/api/echo')).status).toBe(200);
});

test('a strange Host header stays out of the path', async () => {
  const answer = await raw(
    'GET /api/echo HTTP/1.1\r\nHost: evil/../x?y#z\r\nConnection: close\r\n\r\n',
  );
  expect(answer).toContain('/api/echo"');
});

test('it listens on 127.0.0.1 only', async () => {
  const socket = connect(Number(new URL(server.url).port), '::1');
  const [error]: unknown[] = await once(socket, 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
});

test('closing waits for work promised to go on after the answer', async () => {
  expect(await (await get('/api/later')).text()).toBe('now');
  expect(Reflect.get(globalThis, 'batonLater')).toBeUndefined();
  await server.close();
  expect(Reflect.get(globalThis, 'batonLater')).toBe('done');
  expect(errors).toMatchObject([{ message: 'after-work failed' }]);
});

test('settings it does not know are refused by name', async () => {
  const other = await mkdtemp(join(tmpdir(), 'baton-server-'));
  const rewrites = [{ source: '/a', destination: '/b', has: [{ type: 'host', value: 'x' }] }];
  await writeFile(join(other, 'vercel.json'), JSON.stringify({ rewrites }));
  await expect(startServer({ port: 0, root: other })).rejects.toThrow(/vercel\.json: .*"has"/s);
  await rm(other, { recursive: true });
});
