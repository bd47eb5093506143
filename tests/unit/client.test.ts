import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import type { z } from 'zod';
import type { answers } from '../../dev/openapi/answers.ts';
import { BatonProblem, type Client, createClient } from '../../lib/client.ts';
import type * as Types from '../../lib/client-types.ts';
import type { ClientOptions } from '../../lib/client-types.ts';

const root = resolve(import.meta.dirname, '../..');

type Step = Response | Error | (() => Promise<Response>);

/** A client whose calls are answered one after the other, and what it sent. */
function scripted(steps: Step[], options: ClientOptions = {}): { client: Client; sent: Request[] } {
  const sent: Request[] = [];
  const client = createClient({
    url: 'https://baton.example/',
    ...options,
    async fetch(url, init) {
      sent.push(new Request(url, init));
      const step = steps.shift();
      if (step === undefined) throw new Error('one call too many');
      if (step instanceof Error) throw step;
      return step instanceof Response ? step : step();
    },
  });
  return { client, sent };
}

const ok = (body: object = {}) => Response.json(body);
const refusal = (status: number, code: string, headers: Record<string, string> = {}) =>
  Response.json(
    { type: 'about:blank', title: 'x', status, detail: `because of ${code}`, code },
    {
      status,
      headers: { 'content-type': 'application/problem+json', 'x-request-id': 'r1', ...headers },
    },
  );
const away = () => refusal(503, 'storage_unavailable', { 'retry-after': '2' });
const cut = () => new TypeError('fetch failed');

/** The result of a call or what it threw, its pauses passed at once. */
async function outcome<T>(call: Promise<T>): Promise<unknown> {
  const settled = call.catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return settled;
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

describe('a call', () => {
  it('carries the credential, the device and the body, and never a cookie', async () => {
    const { client, sent } = scripted([ok()], { token: 't', device: 'd' });
    await client.lock.set({ agent: 'billing' });
    const [request] = sent;
    expect(request?.url).toBe('https://baton.example/api/lock');
    expect(request?.method).toBe('PUT');
    expect(Object.fromEntries(request?.headers ?? [])).toEqual({
      authorization: 'Bearer t',
      'content-type': 'application/json',
      'x-device-id': 'd',
    });
    expect(request?.credentials).toBe('omit');
    expect(await request?.json()).toEqual({ agent: 'billing' });
  });

  it('without options goes to where the page came from', async () => {
    const urls: string[] = [];
    const client = createClient({
      fetch: (url) => {
        urls.push(url);
        return Promise.resolve(ok());
      },
    });
    await client.health();
    expect(urls).toEqual(['/api/health']);
  });

  it('writes only what the guard allows', async () => {
    const { client, sent } = scripted([ok(), ok(), ok()]);
    await client.lock.set({ agent: 'a' }, { ifVersion: '42' });
    await client.state.replace({}, { ifAbsent: true });
    await client.lock.clear({});
    const conditions = sent.map(({ headers }) => [
      headers.get('if-match'),
      headers.get('if-none-match'),
    ]);
    expect(conditions).toEqual([
      ['"42"', null],
      [null, '*'],
      [null, null],
    ]);
  });

  it('escapes what goes into the path and the query, and leaves out what is undefined', async () => {
    const { client, sent } = scripted([ok(), ok()]);
    await client.sessions.get('a/b?c');
    await client.sessions.list({ q: 'a&b=c', active: true });
    expect(
      sent.map(({ url }) => url.slice('https://baton.example/api/chat/sessions'.length)),
    ).toEqual(['/a%2Fb%3Fc', '?q=a%26b%3Dc&active=true']);
  });

  it('of another client, made by with, has the other options alone changed', async () => {
    const { client, sent } = scripted([ok(), ok()], { token: 't', device: 'd' });
    await client.with({ device: 'e' }).lock.get();
    await client.lock.get();
    expect(
      sent.map(({ headers }) => [headers.get('authorization'), headers.get('x-device-id')]),
    ).toEqual([
      ['Bearer t', 'e'],
      ['Bearer t', 'd'],
    ]);
  });
});

describe('a refusal', () => {
  it('is thrown with its code, its sentence and the request id', async () => {
    const { client } = scripted([refusal(409, 'turn_lost')]);
    expect(await outcome(client.turn.renew('1'))).toMatchObject({
      name: 'BatonProblem',
      code: 'turn_lost',
      status: 409,
      message: 'because of turn_lost',
      errors: [],
      requestId: 'r1',
    });
  });

  it.each(['<html>', '', 'null', '[]', '7'])(
    'of somebody in between (%j) is one too',
    async (text) => {
      const { client } = scripted([new Response(text, { status: 418 })]);
      const thrown = await outcome(client.lock.get());
      expect(thrown).toBeInstanceOf(BatonProblem);
      expect(thrown).toMatchObject({ code: 'unexpected_answer', status: 418, message: 'HTTP 418' });
    },
  );

  it('a database that is down is an answer of health, a wrong setting is not', async () => {
    const down = { status: 'down' };
    const { client } = scripted([
      Response.json(down, { status: 503 }),
      refusal(503, 'not_configured'),
    ]);
    expect(await outcome(client.health())).toEqual(down);
    expect(await outcome(client.health())).toMatchObject({ code: 'not_configured' });
  });
});

const safe: Record<string, (client: Client) => Promise<unknown>> = {
  'lock.get': (client) => client.lock.get(),
  'lock.set': (client) => client.lock.set({ agent: 'a' }),
  'lock.clear': (client) => client.lock.clear(),
  'state.replace': (client) => client.state.replace({}),
  'state.merge': (client) => client.state.merge({}),
  'turn.take': (client) => client.turn.take(),
  'turn.answer': (client) => client.turn.answer('1', {}),
  'turn.renew': (client) => client.turn.renew('1'),
  'turn.retryFailed': (client) => client.turn.retryFailed(),
  'sessions.list': (client) => client.sessions.list(),
  'sessions.change': (client) => client.sessions.change('s', {}),
  'sessions.send': (client) => client.sessions.send('s', { message: 'm' }),
  'sessions.download': (client) => client.sessions.download('s', 'csv'),
  'device.get': (client) => client.device.get(),
  say: (client) => client.say({ message: 'm' }),
};

const unsafe: Record<string, (client: Client) => Promise<unknown>> = {
  'lock.set, guarded': (client) => client.lock.set({ agent: 'a' }, { ifAbsent: true }),
  'lock.clear, guarded': (client) => client.lock.clear({ ifVersion: '1' }),
  'state.merge, guarded': (client) => client.state.merge({}, { ifVersion: '1' }),
  'turn.giveBack': (client) => client.turn.giveBack('1'),
  'sessions.begin': (client) => client.sessions.begin(),
  'sessions.delete': (client) => client.sessions.delete('s'),
  'device.register': (client) => client.device.register(),
};

describe('is tried three times, where nobody knows what became of it', () => {
  it.each(Object.entries(safe))('%s', async (_, call) => {
    for (const failure of [away, cut, () => new Response('', { status: 502 })]) {
      const { client, sent } = scripted([failure(), failure(), ok({ done: true })]);
      expect(await outcome(call(client))).not.toBeInstanceOf(Error);
      expect(sent).toHaveLength(3);
      const bodies = await Promise.all(sent.map((request) => request.text()));
      expect(new Set(bodies).size).toBe(1);

      const { client: unlucky } = scripted([failure(), failure(), failure()]);
      expect(await outcome(call(unlucky))).toBeInstanceOf(BatonProblem);
    }
  });
});

describe('is tried once, unless a limit has refused it before anything was done', () => {
  it.each(Object.entries(unsafe))('%s', async (_, call) => {
    for (const failure of [away, cut]) {
      const { client, sent } = scripted([failure()]);
      expect(await outcome(call(client))).toBeInstanceOf(BatonProblem);
      expect(sent).toHaveLength(1);
    }
    const limited = refusal(429, 'rate_limited', { 'retry-after': '3' });
    const { client, sent } = scripted([limited, ok()]);
    expect(await outcome(call(client))).not.toBeInstanceOf(Error);
    expect(sent).toHaveLength(2);
  });
});

describe('another try', () => {
  it.each([
    [400, 'invalid_request'],
    [401, 'unauthorized'],
    [404, 'session_not_found'],
    [412, 'version_conflict'],
    [500, 'internal_error'],
    [500, 'agent_failed'],
    [503, 'not_configured'],
  ])('does not follow %s %s', async (status, code) => {
    const { client, sent } = scripted([refusal(status, code)]);
    expect(await outcome(client.lock.get())).toMatchObject({ code });
    expect(sent).toHaveLength(1);
  });

  it('waits for as long as the answer says', async () => {
    const { client, sent } = scripted([away(), ok()]);
    const call = client.lock.get();
    await vi.advanceTimersByTimeAsync(1_999);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    await call;
    expect(sent).toHaveLength(2);
  });

  it('waits longer each time, and not as long as others, where the answer says nothing', async () => {
    const { client, sent } = scripted([cut(), cut(), ok()]);
    const call = client.lock.get();
    await vi.advanceTimersByTimeAsync(199);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(401);
    expect(sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1_200);
    await call;
    expect(sent).toHaveLength(3);
  });

  it('is not waited for longer than ten seconds', async () => {
    const { client, sent } = scripted([refusal(429, 'rate_limited', { 'retry-after': '30' })]);
    expect(await outcome(client.lock.get())).toMatchObject({ code: 'rate_limited' });
    expect(sent).toHaveLength(1);
  });

  it('does not follow an abort, whose reason is thrown', async () => {
    const controller = new AbortController();
    const { client, sent } = scripted(
      [
        () => {
          controller.abort(new Error('the user left'));
          return Promise.reject(cut());
        },
      ],
      { signal: controller.signal },
    );
    expect(await outcome(client.lock.get())).toMatchObject({ message: 'the user left' });
    expect(sent).toHaveLength(1);
  });

  it('follows an answer that breaks off', async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(cut()) });
    const { client, sent } = scripted([new Response(broken), ok({ active_agent: null })]);
    expect(await outcome(client.lock.get())).toEqual({ active_agent: null });
    expect(sent).toHaveLength(2);
  });

  it('carries the message id that was made for the first', async () => {
    const { client, sent } = scripted([cut(), ok(), ok()]);
    await outcome(client.say({ message: 'Hello' }));
    await outcome(client.say({ message: 'Hello' }));
    const ids = await Promise.all(
      sent.map(async (request) => ((await request.json()) as { message_id: string }).message_id),
    );
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });
});

describe('the file', () => {
  it('is less than 3 KB, minified and gzipped', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(root, 'lib/client.ts')],
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      write: false,
    });
    const bytes = gzipSync(outputFiles[0]?.contents ?? '').byteLength;
    expect(bytes).toBeGreaterThan(500);
    expect(bytes).toBeLessThan(3_000);
  });

  it('compiles for browsers under strict types, with nothing of Node', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'baton-client-'));
    try {
      for (const name of ['client.ts', 'client-types.ts']) {
        await symlink(join(root, 'lib', name), join(folder, name));
      }
      await writeFile(
        join(folder, 'use.ts'),
        "import { createClient } from './client.ts';\nexport const lock = createClient().lock.get();\n",
      );
      const config = {
        compilerOptions: {
          target: 'es2022',
          lib: ['es2023', 'dom', 'dom.iterable'],
          module: 'esnext',
          moduleResolution: 'bundler',
          allowImportingTsExtensions: true,
          preserveSymlinks: true,
          types: [],
          noEmit: true,
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          noImplicitOverride: true,
          isolatedModules: true,
          verbatimModuleSyntax: true,
        },
      };
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], {
        encoding: 'utf8',
      });
      expect([status, stdout]).toEqual([0, '']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('imports nothing but its own types', async () => {
    for (const [name, imported] of [
      ['client.ts', ['./client-types.ts']],
      ['client-types.ts', []],
    ] as const) {
      const text = await readFile(join(root, 'lib', name), 'utf8');
      expect([...text.matchAll(/ from '([^']+)'/g)].map((match) => match[1])).toEqual(imported);
    }
  });
});

/** What the functions answer, as the schemas of the document have it. */
type Answered = { [Name in keyof typeof answers]: z.output<(typeof answers)[Name]> };

type IsAny<T> = 0 extends 1 & T ? true : false;
/** Types that are not looked into: the platform's, and those that hold themselves. */
type Known<T> = T extends Response | RequestInit | AbortSignal
  ? true
  : [T, Types.JsonObject] extends [Types.JsonObject, T]
    ? true
    : [T, Types.Json] extends [Types.Json, T]
      ? true
      : false;
/** Names of everything in a type, however deep, that is `any`; never: nothing is. */
type AnyIn<T, Way extends string = ''> =
  IsAny<T> extends true
    ? Way
    : T extends (...args: infer Arguments) => infer Result
      ? AnyIn<Arguments, `${Way}()`> | AnyIn<Awaited<Result>, `${Way}->`>
      : Known<T> extends true
        ? never
        : T extends readonly (infer Item)[]
          ? AnyIn<Item, `${Way}[]`>
          : T extends object
            ? { [Key in keyof T & (string | number)]: AnyIn<T[Key], `${Way}.${Key}`> }[keyof T &
                (string | number)]
            : never;

describe('the types', () => {
  it('are those of the answers', () => {
    expectTypeOf<Answered['Lock']>().toEqualTypeOf<Types.Lock>();
    expectTypeOf<Answered['State']>().toEqualTypeOf<Types.State>();
    expectTypeOf<Answered['Message']>().toEqualTypeOf<Types.Message>();
    expectTypeOf<Answered['Turn']>().toEqualTypeOf<Types.Turn>();
    expectTypeOf<
      Answered['NoTurn'] | Answered['Queued'] | Answered['HeldByPerson'] | Answered['Duplicate']
    >().toEqualTypeOf<Types.NoTurn>();
    expectTypeOf<Answered['RenewedTurn']>().toEqualTypeOf<Types.RenewedTurn>();
    expectTypeOf<Answered['RetriedMessages']>().toEqualTypeOf<Types.RetriedMessages>();
    expectTypeOf<Answered['BegunSession']>().toEqualTypeOf<Types.BegunSession>();
    expectTypeOf<Answered['Session']>().toEqualTypeOf<Types.Session>();
    expectTypeOf<Answered['History']>().toEqualTypeOf<Types.History>();
    expectTypeOf<
      Answered['ChatAnswer'] | Answered['QueuedMessage']
    >().toEqualTypeOf<Types.ChatAnswer>();
    expectTypeOf<
      Answered['WebAnswer'] | Answered['QueuedMessage']
    >().toEqualTypeOf<Types.WebAnswer>();
    expectTypeOf<Answered['Registration']>().toEqualTypeOf<Types.Registration>();
    expectTypeOf<Answered['LinkCode']>().toEqualTypeOf<Types.LinkCode>();
    expectTypeOf<Answered['Linked']>().toEqualTypeOf<Types.Linked>();
    expectTypeOf<Answered['Receipt']>().toEqualTypeOf<Types.Receipt>();
    expectTypeOf<Answered['Stats']>().toEqualTypeOf<Types.Stats>();
    expectTypeOf<Answered['CleanUp']>().toEqualTypeOf<Types.CleanUp>();
    expectTypeOf<Answered['Health']>().toEqualTypeOf<Types.Health>();
    expectTypeOf<Answered['FailedMessages']>().toExtend<Types.FailedMessages>();
    expectTypeOf<Types.FailedMessages>().toExtend<Answered['FailedMessages']>();
    expectTypeOf<Answered['Sessions'] | Answered['FoundSessions']>().toExtend<Types.Sessions>();
    expectTypeOf<Answered['Device']>().toExtend<Types.Device>();
    expectTypeOf<Types.Device>().toExtend<Answered['Device']>();
  });

  it('hold no any', () => {
    expectTypeOf<AnyIn<Omit<Client, 'with'>>>().toEqualTypeOf<never>();
    expectTypeOf<AnyIn<BatonProblem>>().toEqualTypeOf<never>();
    // and one would be found
    // oxlint-disable-next-line typescript/no-explicit-any -- what must not be there
    expectTypeOf<AnyIn<{ a: () => Promise<{ b: any }> }>>().toEqualTypeOf<'.a->.b'>();
  });
});
