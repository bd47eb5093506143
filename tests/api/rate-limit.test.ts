import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signBytes } from '../support/sign.ts';
import { type Api, type Answer, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';

const SECRET = 'an app secret';

let api: Api;
beforeAll(async () => {
  api = await startApi({ RATE_LIMIT: '3', WHATSAPP_APP_SECRET: SECRET });
});
afterAll(() => api.close());

/** What the two headers say. */
function limitOf({ headers }: Answer) {
  const [, left, reset] = /^"messages";r=(\d+);t=(\d+)$/.exec(headers.get('ratelimit') ?? '') ?? [];
  return { policy: headers.get('ratelimit-policy'), left: Number(left), reset: Number(reset) };
}

/** Each way in which a device says something. */
const ways: readonly (readonly [string, () => Promise<(id: string) => [string, object]>])[] = [
  [
    'POST /api/webhooks/web',
    () =>
      Promise.resolve((id: string) => ['/api/webhooks/web', { message: 'hello', message_id: id }]),
  ],
  [
    'POST /api/turn',
    () => Promise.resolve((id: string) => ['/api/turn', { content: 'hello', message_id: id }]),
  ],
  [
    'POST /api/chat/sessions/{id}/messages',
    async () => {
      const begun = await api.call('POST', '/api/chat/sessions');
      const { session_id: session } = begun.json as { session_id: string };
      return (id) => [
        `/api/chat/sessions/${session}/messages`,
        { message: 'hello', message_id: id },
      ];
    },
  ],
];

describe.each(ways)('%s', (_, prepare) => {
  test('tells what is left, and 429 when nothing is: before anything is stored, with the time to wait', async () => {
    const device = randomUUID();
    const call = await prepare();
    const said = (id: string) => {
      const [path, body] = call(id);
      return api.call('POST', path, { device, body });
    };
    for (const left of [2, 1, 0]) {
      const answer = await said(`m${left}`);
      expect(answer.status).toBeLessThan(300);
      expect(limitOf(answer)).toMatchObject({ policy: '"messages";q=3;w=60', left });
    }

    const [path, body] = call('one too many');
    const refused = await refuse(api, [429, 'rate_limited'], 'POST', path, { device, body });

    expect(limitOf(refused)).toMatchObject({ policy: '"messages";q=3;w=60', left: 0 });
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(10);
    expect(wait).toBeLessThanOrEqual(20);
    // what was taken before is answered as it was
    expect((await said('m2')).status).toBeLessThan(300);

    await api.sql(`UPDATE conversation_states SET rate_until = rate_until - interval '20 s'`);
    expect((await said('one too many')).status).toBeLessThan(300);
  });
});

test('what says nothing is not counted: reading, lock, state, a poll', async () => {
  const device = randomUUID();
  for (let i = 0; i < 5; i++) {
    for (const [method, path, body] of [
      ['GET', '/api/lock'],
      ['PUT', '/api/state', { state: {} }],
      ['POST', '/api/turn', {}],
    ] as const) {
      const answer = await api.call(method, path, { device, ...(body && { body }) });
      expect([answer.status, answer.headers.get('ratelimit')]).toEqual([200, null]);
    }
  }
});

test('WhatsApp’s messages are stored, however many', async () => {
  const messages = Array.from({ length: 8 }, (_, i) => ({
    from: '15550001',
    id: `wamid.${i}`,
    timestamp: String(Math.floor(Date.now() / 1_000)),
    type: 'text',
    text: { body: 'hello' },
  }));
  const metadata = { display_phone_number: '15550000', phone_number_id: '1' };
  const value = { messaging_product: 'whatsapp', metadata, messages };
  const raw = JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [{ id: '1', changes: [{ field: 'messages', value }] }],
  });
  const answer = await api.call('POST', '/api/webhooks/whatsapp', {
    raw,
    headers: { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(raw), SECRET)}` },
  });
  expect(answer.json).toEqual({ received: 8 });
  expect(answer.headers.get('ratelimit')).toBeNull();
  const [row] = await api.sql(
    `SELECT count(*)::int AS stored FROM chat_messages WHERE channel = 'whatsapp' AND role = 'user'`,
  );
  expect(row).toEqual({ stored: 8 });
});

test('RATE_LIMIT=0: any number, and no headers', async () => {
  const free = await startApi({ RATE_LIMIT: '0' });
  const device = randomUUID();
  for (let i = 0; i < 5; i++) {
    const answer = await free.call('POST', '/api/webhooks/web', {
      device,
      body: { message: 'hello' },
    });
    expect([answer.status, answer.headers.get('ratelimit')]).toEqual([200, null]);
  }
  await free.close();
});
