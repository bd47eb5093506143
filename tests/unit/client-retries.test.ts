import { describe, expect, it, vi } from 'vitest';
import { BatonProblem, type Client } from '../../lib/client.ts';
import {
  away,
  cut,
  ok,
  outcome,
  passPauses,
  refusal,
  scripted,
} from '../support/scripted-client.ts';

passPauses();

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
