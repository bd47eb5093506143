import { describe, expect, it } from 'vitest';
import { BatonProblem, createClient } from '../../lib/client.ts';
import { ok, outcome, passPauses, refusal, scripted } from '../support/scripted-client.ts';

passPauses();

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
