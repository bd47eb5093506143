import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import { defineAgent } from '../../lib/agents/agent.ts';
import { createRegistry } from '../../lib/agents/registry.ts';
import { signBytes } from '../support/sign.ts';
import { type Api, startApi } from '../support/api.ts';
import { type Graph, startGraph } from '../support/graph.ts';
import { bodyOf } from '../support/whatsapp.ts';

const SECRET = 'an app secret';

/** Counts every message it is handed, and holds the conversation. */
const counting = defineAgent({
  key: 'counting',
  description: 'Counts',
  state: z.object({ counter: z._default(z.number(), 0) }),
  matches: () => true,
  answer(turn) {
    turn.setState({ counter: turn.state.counter + turn.messages.length });
    turn.reply(`that makes ${turn.state.counter}`);
  },
});

/** Waits in the middle of its answer until it is let go. */
const gate = { entered: Promise.withResolvers<void>(), leave: Promise.withResolvers<void>() };
const waiting = defineAgent({
  key: 'waiting',
  description: 'Waits',
  async answer(turn) {
    gate.entered.resolve();
    await gate.leave.promise;
    turn.reply('too late');
  },
});

interface WebAnswer {
  replies: { content: string; in_reply_to: string[] }[];
  active_agent: string | null;
}

describe('a message, from the webhook to its reply', () => {
  let api: Api;
  let graph: Graph;
  beforeAll(async () => {
    graph = await startGraph();
    api = await startApi(
      {
        WHATSAPP_APP_SECRET: SECRET,
        WHATSAPP_ACCESS_TOKEN: 'token',
        WHATSAPP_API_URL: graph.url,
        REPLY_WAIT: '20',
      },
      { registry: createRegistry([counting, waiting]) },
    );
  });
  afterAll(async () => {
    vi.useRealTimers();
    await api.close();
    await graph.close();
  });

  const say = async (device: string, message: string, messageId = randomUUID() as string) => {
    const answer = await api.call('POST', '/api/webhooks/web', {
      device,
      body: { message, message_id: messageId },
    });
    expect(answer.status).toBe(200);
    return answer.json as WebAnswer;
  };
  const deliver = (body: string) =>
    api.call('POST', '/api/webhooks/whatsapp', {
      raw: body,
      type: 'application/json',
      headers: { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(body), SECRET)}` },
    });
  const history = (device: string) =>
    api.sql(
      'SELECT id::text, seq::int, role, content, answers::text[], status FROM chat_messages WHERE device_id = $1 ORDER BY seq',
      [device],
    );

  it('fifty web messages to one device at once are all answered, each by exactly one reply, in one order', async () => {
    const device = randomUUID();
    const ids = Array.from({ length: 50 }, () => randomUUID());
    const answers = await Promise.all(ids.map((id) => say(device, 'one more', id)));
    for (const [i, { replies }] of answers.entries()) {
      expect(replies).toHaveLength(1);
      expect(replies[0]?.in_reply_to).toContain(ids[i]);
    }
    await api.settled();
    const stored = await history(device);
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 1));
    const answered = stored.flatMap((row) => (row['answers'] ?? []) as string[]);
    const questions = stored.filter(({ role }) => role === 'user').map(({ id }) => id);
    expect(questions).toHaveLength(50);
    expect(answered.toSorted()).toEqual(questions.toSorted());
    const { json } = await api.call('GET', '/api/state', { device });
    expect(json).toMatchObject({ state: { counting: { counter: 50 } } });
  });

  it('three WhatsApp messages in one body become one turn and one reply, sent once however often Meta delivers', async () => {
    const body = bodyOf(
      ['hi', 'are you there', 'help'].map((text) => ({ from: '12025550101', body: text })),
    );
    const before = graph.sent.length;
    const answers = await Promise.all([deliver(body), deliver(body), deliver(body)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    await api.settled();
    await deliver(body);
    await api.settled();
    expect(graph.sent.slice(before).map(({ body: sent }) => [sent.to, sent.text.body])).toEqual([
      ['12025550101', 'that makes 3'],
    ]);
  });

  it('a lock set to human in the middle of an answer stops the reply: it is neither written nor sent', async () => {
    const before = graph.sent.length;
    const phone = '12025550177';
    await deliver(bodyOf([{ from: phone, body: 'first' }]));
    await api.settled();
    const [identity] = await api.sql('SELECT device_id FROM channel_identities WHERE value = $1', [
      phone,
    ]);
    const device = String(identity?.['device_id']);
    await api.call('PUT', '/api/lock', { device, body: { agent: 'waiting' } });

    await deliver(bodyOf([{ from: phone, body: 'second' }]));
    await gate.entered.promise;
    await api.call('PUT', '/api/lock', { device, body: { agent: 'human' } });
    gate.leave.resolve();
    await api.settled();

    expect(graph.sent.slice(before).map(({ body }) => body.text.body)).toEqual(['that makes 1']);
    expect((await history(device)).map(({ content, status }) => [content, status])).toEqual([
      ['first', 'answered'],
      ['that makes 1', 'sent'],
      ['second', 'recorded'],
    ]);
    await deliver(bodyOf([{ from: phone, body: 'anybody?' }]));
    await api.settled();
    expect(graph.sent).toHaveLength(before + 1);
  });

  it.each([5, -5])(
    'does not care about an instance clock that is %i minutes off',
    async (minutes) => {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minutes * 60_000 });
      const device = randomUUID();
      const { json } = await api.call('PUT', '/api/lock', {
        device,
        body: { agent: 'counting', session_ttl: 60 },
      });
      const lock = json as { locked_at: string; expires_at: string };
      const [clock] = await api.sql('SELECT clock_timestamp() AS now');
      expect(Math.abs(Date.parse(lock.locked_at) - Number(clock?.['now']))).toBeLessThan(30_000);
      expect(Date.parse(lock.expires_at) - Date.parse(lock.locked_at)).toBe(60_000);
      expect((await api.call('GET', '/api/lock', { device })).json).toMatchObject({
        active_agent: 'counting',
      });
      expect((await say(device, 'still there?')).active_agent).toBe('counting');

      await api.sql(
        `UPDATE conversation_states SET lock_expires_at = clock_timestamp() - interval '1 ms' WHERE device_id = $1`,
        [device],
      );
      expect((await api.call('GET', '/api/lock', { device })).json).toEqual({
        device_id: device,
        active_agent: null,
      });
      const held = await api.call('POST', '/api/turn', {
        device,
        body: { message_id: 'a', content: 'x' },
      });
      expect(
        (await api.call('POST', '/api/turn', { device, body: { message_id: 'b', content: 'x' } }))
          .status,
      ).toBe(202);
      expect(held.status).toBe(200);
      vi.useRealTimers();
    },
  );

  it('goes on where it was after its worker was killed: the next call of anybody finds it', async () => {
    const device = randomUUID();
    await say(device, 'one');
    // what a worker killed in the middle of its turn leaves behind
    const [killed] = await api.app.storage.accept(
      [
        {
          sender: { device: device as never },
          channel: 'web',
          account: device,
          externalId: 'lost',
          content: 'two',
          metadata: {},
          sentAt: null,
        },
      ],
      { requestId: randomUUID(), lane: 'builtin', leaseMs: 60_000, maxTurns: 1 },
    );
    expect(killed?.turn).not.toBeNull();
    await api.sql(
      'UPDATE conversation_states SET turn_expires_at = clock_timestamp() WHERE device_id = $1',
      [device],
    );
    expect((await say(device, 'three')).replies.map(({ content }) => content)).toEqual([
      'that makes 3',
    ]);
    expect((await history(device)).map(({ content }) => content)).toEqual([
      'one',
      'that makes 1',
      'two',
      'three',
      'that makes 3',
    ]);
  });

  it('of one sender that cannot be finished does not keep the others of the same body from theirs', async () => {
    const texts = Array.from({ length: 12 }, (_, i) => ({
      from: `1202556${1_000 + i}`,
      body: 'hi',
    }));
    const { commit } = api.app.storage;
    let refused = 0;
    api.app.storage.commit = (...args) =>
      refused++ < 3 ? Promise.reject(new Error('broken')) : commit.apply(api.app.storage, args);
    const before = graph.sent.length;
    await deliver(bodyOf(texts));
    await api.settled();
    api.app.storage.commit = commit;
    expect(graph.sent).toHaveLength(before + 9);
    expect(api.events.filter(({ event }) => event === 'turn_broke_off')).toHaveLength(3);
  });

  it('is answered when the one before it was set aside, by the same call', async () => {
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    const picky = defineAgent({
      key: 'picky',
      description: 'Fails on poison',
      matches: () => true,
      async answer(turn) {
        entered.resolve();
        await leave.promise;
        if (turn.text === 'poison') throw new Error('no');
        turn.reply('fine');
      },
    });
    const own = await startApi(
      { WHATSAPP_APP_SECRET: SECRET, MAX_ATTEMPTS: '1' },
      { registry: createRegistry([picky]) },
    );
    const send = (body: string) => {
      const raw = bodyOf([{ from: '12025550190', body }]);
      const headers = { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(raw), SECRET)}` };
      return own.call('POST', '/api/webhooks/whatsapp', { raw, headers });
    };
    await send('poison');
    await entered.promise;
    await send('hello');
    leave.resolve();
    await own.settled();
    const rows = await own.sql(
      `SELECT content, status FROM chat_messages WHERE role = 'user' ORDER BY id`,
    );
    await own.close();
    expect(rows.map(({ status }) => status)).toEqual(['failed', 'answered']);
  });
});
