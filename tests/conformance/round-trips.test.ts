import { randomUUID } from 'node:crypto';
import { neonConfig } from '@neondatabase/serverless';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signBytes } from '../support/sign.ts';
import { type Api, startApi } from '../support/api.ts';
import { startGraph, type Graph } from '../support/graph.ts';
import { type NeonBridge, startNeonBridge } from '../support/neon-bridge.ts';
import { textsOf } from '../support/whatsapp.ts';

// Counted on the wire: over TCP every query or Sync that a client sends is one, over HTTP every request.

const SECRET = 'an app secret';
const CRON_SECRET = 'secret-of-the-cron-which-is-long-1';

describe.each(['pg', 'neon-http'])('round trips to the database over %s', (driver) => {
  let api: Api;
  let graph: Graph;
  let bridge: NeonBridge;
  beforeAll(async () => {
    graph = await startGraph();
    bridge = await startNeonBridge();
    neonConfig.fetchEndpoint = bridge.endpoint;
    api = await startApi({
      DATABASE_DRIVER: driver,
      CRON_SECRET,
      WHATSAPP_APP_SECRET: SECRET,
      WHATSAPP_ACCESS_TOKEN: 'token',
      WHATSAPP_API_URL: graph.url,
    });
  });
  afterAll(async () => {
    await api.close();
    await graph.close();
    await bridge.close();
  });

  const count = () => (driver === 'pg' ? api.wire.count() : bridge.count());

  const trips = async (call: () => Promise<unknown>): Promise<number> => {
    await api.settled();
    api.wire.reset();
    bridge.reset();
    await call();
    return count();
  };
  const device = randomUUID();
  const call = (method: string, path: string, body?: object) => () =>
    api.call(method, path, { device, ...(body && { body }) });
  const post = (body: string) => () =>
    api.call('POST', '/api/webhooks/whatsapp', {
      raw: body,
      type: 'application/json',
      headers: { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(body), SECRET)}` },
    });

  it.each([
    ['PUT', '/api/lock', { agent: 'billing' }],
    ['GET', '/api/lock', undefined],
    ['DELETE', '/api/lock', undefined],
    ['GET', '/api/metrics', undefined],
    ['GET', '/api/chat/stats', undefined],
    ['PUT', '/api/state', { state: { a: 1 } }],
    ['GET', '/api/state', undefined],
    ['DELETE', '/api/state', undefined],
    ['POST', '/api/device/link', undefined],
    ['POST', '/api/device/link', { code: '000000' }],
    ['DELETE', '/api/device/link', undefined],
    ['GET', '/api/device', undefined],
    ['GET', '/api/turn?failed=true', undefined],
    ['POST', '/api/turn?failed=true', undefined],
    ['POST', '/api/chat/sessions', { user_id: 'anna' }],
    ['GET', '/api/chat/sessions', undefined],
    ['GET', '/api/chat/sessions?user_id=anna&q=hello', undefined],
    ['GET', '/api/health', undefined],
    ['DELETE', '/api/chat/users/anna', undefined],
    ['DELETE', '/api/device', undefined],
  ])('%s %s: 1', async (method, path, body) => {
    expect(await trips(call(method, path, body))).toBe(1);
    expect(await trips(call(method, path, body))).toBe(1);
  });

  it('POST /api/device: 1', async () => {
    expect(await trips(() => api.call('POST', '/api/device'))).toBe(1);
  });

  it('the life of a chat session: 1 for each call, and 2 for a message and its answer, the second time too', async () => {
    const { json } = await api.call('POST', '/api/chat/sessions', { device });
    const path = `/api/chat/sessions/${(json as { session_id: string }).session_id}`;
    const message = call('POST', `${path}/messages`, { message: 'hello', message_id: 'm1' });
    expect(await trips(message)).toBe(2);
    expect(await trips(message)).toBe(2);
    expect(await trips(call('GET', path))).toBe(1);
    expect(await trips(call('GET', `${path}/history`))).toBe(1);
    expect(await trips(call('PATCH', path, { metadata: { a: 1 }, complete: true }))).toBe(1);
    expect(await trips(call('DELETE', path))).toBe(1);
    expect(await trips(call('DELETE', path))).toBe(1);
  });

  it('the cron, where nothing is left to do: 2, to clean up and to look for what was let fall', async () => {
    const cron = () =>
      api.call('GET', '/api/cron/cleanup', {
        headers: { authorization: `Bearer ${CRON_SECRET}` },
      });
    await cron();
    expect(await trips(cron)).toBe(2);
  });

  it('PATCH /api/state: 1', async () => {
    const patch = () =>
      api.call('PATCH', '/api/state', {
        device,
        body: { b: 1 },
        type: 'application/merge-patch+json',
      });
    expect(await trips(patch)).toBe(1);
  });

  it('a guarded write that is refused: 1', async () => {
    const refused = () =>
      api.call('PUT', '/api/lock', {
        device,
        body: { agent: 'a' },
        headers: { 'if-match': '"1"' },
      });
    expect(await trips(refused)).toBe(1);
  });

  it('a whole web turn, hand-over included: 2', async () => {
    expect(await trips(call('POST', '/api/webhooks/web', { message: 'hello' }))).toBe(2);
    expect(
      await trips(call('POST', '/api/webhooks/web', { message: 'I want to book an appointment' })),
    ).toBe(2);
  });

  it('a turn of an external worker: 2', async () => {
    let token: unknown;
    const taken = await trips(async () => {
      const { json } = await api.call('POST', '/api/turn', {
        device,
        body: { message_id: randomUUID(), content: 'hi' },
      });
      token = (json as { turn: { token: string } }).turn.token;
    });
    const answered = await trips(
      call('PUT', '/api/turn', { token, replies: [{ content: 'hello' }] }),
    );
    expect([taken, answered]).toEqual([1, 1]);
  });

  it('a WhatsApp turn: 1 before the 200, 2 before the reply is sent, 3 in all', async () => {
    let sentAfter = 0;
    graph.onSend(() => {
      sentAfter = count();
    });
    const before200 = await trips(post(textsOf(1)));
    expect(before200).toBeLessThanOrEqual(2); // the agent may be done before the answer is out
    await api.settled();
    expect(sentAfter).toBe(2);
    expect(count()).toBe(3);
  });

  it('a WhatsApp body with messages of 100 senders: 1 to accept', async () => {
    const accepted: string[] = [];
    const { accept } = api.app.storage;
    api.app.storage.accept = async (...args) => {
      const before = count();
      const result = await accept.apply(api.app.storage, args);
      accepted.push(`${count() - before} for ${result.length} devices`);
      return result;
    };
    await trips(post(textsOf(100)));
    expect(accepted).toEqual(['1 for 100 devices']);
    await api.settled();
    const [row] = await api.sql(
      `SELECT count(*)::int AS answered FROM chat_messages WHERE role = 'user' AND status = 'answered' AND channel = 'whatsapp'`,
    );
    expect(row).toEqual({ answered: 101 });
    expect(graph.sent).toHaveLength(101);
  });
});
