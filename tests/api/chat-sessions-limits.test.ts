import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, startApi } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { until } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { answerOf, begunBy, chat, type Chat, SESSIONS, sessionOf } from './chat.ts';
import { signBytes } from '../support/sign.ts';
import { bodyOf } from '../support/whatsapp.ts';

// What protects the owner: past each limit a caller is refused, and a person on WhatsApp is not.

const script = scripted();
let api: Api;
let calls: Chat;
let user: string;

beforeAll(async () => {
  api = await startApi(
    {
      MAX_SESSIONS_PER_USER: '3',
      MAX_SESSIONS_PER_HOUR: '5',
      MAX_WAITING_MESSAGES: '2',
      MAX_MESSAGE_BYTES: '1000',
      MAX_METADATA_BYTES: '500',
      REPLY_WAIT: '0',
      WHATSAPP_APP_SECRET: 'an app secret',
    },
    { registry: script.registry },
  );
  calls = chat(api);
});
beforeEach(() => {
  script.reset();
  user = crypto.randomUUID();
});
afterEach(() => api.settled());
afterAll(() => api.close());

describe('429 rate_limited', () => {
  test('a user with as many sessions alive as may be: one that ends makes room', async () => {
    const [first] = [await calls.open(user), await calls.open(user), await calls.open(user)];

    const refused = await refuse(api, [429, 'rate_limited'], 'POST', `${SESSIONS}?user_id=${user}`);

    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await calls.begin(`?user_id=${crypto.randomUUID()}`)).status).toBe(201);
    await calls.remove(first);
    expect((await calls.begin(`?user_id=${user}`)).status).toBe(201);
  });

  test('a user who begins too many within an hour, though each of them is over', async () => {
    for (let i = 0; i < 5; i++) {
      const id = begunBy(await calls.begin(`?user_id=${user}`, { session_ttl: 1 })).session_id;
      await calls.age(id, 2);
    }
    expectProblem(await calls.begin(`?user_id=${user}`), 429, 'rate_limited');
    await api.sql(
      `UPDATE chat_sessions SET created_at = created_at - interval '1 hour' WHERE user_id = $1`,
      [user],
    );
    expect((await calls.begin(`?user_id=${user}`)).status).toBe(201);
  });

  test('thirty at once: exactly as many as may be', async () => {
    const begun = await Promise.all(
      Array.from({ length: 30 }, () => calls.begin(`?user_id=${user}`)),
    );
    expect(begun.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(begun.filter(({ status }) => status === 429)).toHaveLength(27);
  });

  test('a device on which too many messages wait: not stored, by whichever way it came', async () => {
    const id = await calls.open(user);
    const { device_id: device } = sessionOf(await calls.read(id));
    const release = script.hold();
    const first = calls.say(id, 'one', 'm1');
    await until('the agent is at work', () => Promise.resolve(script.turns.length === 1));
    expect((await calls.say(id, 'two', 'm2')).status).toBe(202);

    const limited = [429, 'rate_limited'] as const;
    const tries: [string, CallOptions][] = [
      [`${SESSIONS}/${id}/messages`, { body: { message: 'three' } }],
      ['/api/webhooks/web', { device, body: { message: 'three' } }],
      ['/api/turn', { device, body: { message_id: 'm3', content: 'three' } }],
    ];
    for (const [path, options] of tries) await refuse(api, limited, 'POST', path, options);
    // one that is stored may be asked for again
    expect((await calls.say(id, 'two', 'm2')).status).toBe(202);
    release();
    await first;
    await api.settled();
    expect(answerOf(await calls.say(id, 'three')).assistant_response).toBe('re three');
  });

  test('not what people write on WhatsApp: it is stored, and waits', async () => {
    const release = script.hold();
    for (let i = 0; i < 4; i++) {
      const raw = bodyOf([{ from: '15550100', body: `number ${i}` }]);
      const headers = {
        'x-hub-signature-256': `sha256=${signBytes(Buffer.from(raw), 'an app secret')}`,
      };
      expect((await api.call('POST', '/api/webhooks/whatsapp', { raw, headers })).status).toBe(200);
    }
    const rows = await api.sql(`SELECT FROM chat_messages WHERE channel = 'whatsapp'`);
    expect(rows).toHaveLength(4);
    release();
  });
});

describe('413', () => {
  test('message_too_large: counted in bytes, by whichever way it comes', async () => {
    const id = await calls.open(user);
    const device = crypto.randomUUID();
    const fits = 'é'.repeat(500);
    const message = `${fits}x`;
    const tooLarge = [413, 'message_too_large'] as const;
    const tries: [string, CallOptions][] = [
      [`${SESSIONS}/${id}/messages`, { body: { message } }],
      ['/api/webhooks/web', { device, body: { message } }],
      ['/api/turn', { device, body: { message_id: 'm1', content: message } }],
    ];
    for (const [path, options] of tries) await refuse(api, tooLarge, 'POST', path, options);
    expect(answerOf(await calls.say(id, fits)).user_message).toBe(fits);
  });

  test('metadata_too_large: of a message and of a session', async () => {
    const id = await calls.open(user);
    const device = crypto.randomUUID();
    const metadata = { a: 'x'.repeat(500) };
    const tooLarge = [413, 'metadata_too_large'] as const;
    const tries: [string, string, CallOptions][] = [
      ['POST', SESSIONS, { body: { metadata } }],
      ['PATCH', `${SESSIONS}/${id}`, { body: { metadata } }],
      ['POST', `${SESSIONS}/${id}/messages`, { body: { message: 'Hi', metadata } }],
      ['POST', '/api/webhooks/web', { device, body: { message: 'Hi', metadata } }],
      ['POST', '/api/turn', { device, body: { message_id: 'm1', content: 'Hi', metadata } }],
    ];
    for (const [method, path, options] of tries) await refuse(api, tooLarge, method, path, options);
  });

  test('metadata_too_large: what a patch would make of it, not the patch alone', async () => {
    const id = await calls.open(user);
    expect((await calls.change(id, { metadata: { a: 'x'.repeat(300) } })).status).toBe(200);
    const body = { metadata: { b: 'x'.repeat(300) } };
    await refuse(api, [413, 'metadata_too_large'], 'PATCH', `${SESSIONS}/${id}`, { body });
    expect((await calls.change(id, { metadata: { a: null, ...body.metadata } })).status).toBe(200);
  });
});
