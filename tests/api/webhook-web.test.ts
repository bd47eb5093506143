import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineAgent } from '../../lib/agents/agent.ts';
import { createRegistry } from '../../lib/agents/registry.ts';
import { type Api, startApi, UUID } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { until, within } from '../support/waiting.ts';

const PATH = '/api/webhooks/web';
const answered = z.strictObject({
  session_id: z.nullable(z.string().regex(UUID)),
  message_id: z.string(),
  replies: z.array(
    z.strictObject({
      content: z.string(),
      agent: z.string(),
      metadata: z.record(z.string(), z.unknown()),
      in_reply_to: z.array(z.string()),
    }),
  ),
  active_agent: z.nullable(z.string()),
  persisted: z.boolean(),
});

let api: Api;
afterEach(() => api.close());

const post = (device: string, body: object) => api.call('POST', PATH, { device, body });
const ask = async (device: string, message: string, more: object = {}) => {
  const answer = await post(device, { message, ...more });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return answered.parse(answer.json);
};

/** An agent that waits in its answer until it is let go. */
function slowAgent() {
  const entered = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  let runs = 0;
  const agent = defineAgent({
    key: 'slow',
    description: 'Takes its time',
    matches: () => true,
    async answer(turn) {
      runs++;
      entered.resolve();
      await leave.promise;
      turn.reply(`to ${turn.messages.length}`, { n: turn.messages.length });
    },
  });
  return { agent, entered: entered.promise, leave: () => leave.resolve(), runs: () => runs };
}

describe('200', () => {
  it('gives the session, the replies with who wrote them and what they answer, and who holds now', async () => {
    api = await startApi();
    const device = randomUUID();
    const first = await ask(device, 'I want to book an appointment', { message_id: 'm1' });
    expect(first).toMatchObject({ message_id: 'm1', active_agent: 'scheduling', persisted: true });
    expect(first.replies.map(({ agent, in_reply_to: to }) => [agent, to])).toEqual([
      ['scheduling', ['m1']],
    ]);
    const second = await ask(device, 'hello again');
    expect(second.session_id).toBe(first.session_id);
    expect(second.message_id).toMatch(UUID);
  });

  it('to the same message_id again gives the first answer and runs nothing', async () => {
    const slow = slowAgent();
    slow.leave();
    api = await startApi({}, { registry: createRegistry([slow.agent]) });
    const device = randomUUID();
    const first = await ask(device, 'one', { message_id: 'm1' });
    const again = await ask(device, 'one', { message_id: 'm1' });
    expect(again).toEqual(first);
    expect(slow.runs()).toBe(1);
    const other = await ask(randomUUID(), 'one', { message_id: 'm1' });
    expect(other.session_id).not.toBe(first.session_id);
  });

  it('waits for whoever holds the turn, and gives the answer to its own message', async () => {
    const slow = slowAgent();
    api = await startApi({ REPLY_WAIT: '20' }, { registry: createRegistry([slow.agent]) });
    const device = randomUUID();
    const first = ask(device, 'one', { message_id: 'm1' });
    await slow.entered;
    const second = ask(device, 'two', { message_id: 'm2' });
    const third = ask(device, 'three', { message_id: 'm3' });
    await until('all are stored', async () => {
      const [row] = await api.sql('SELECT count(*)::int AS n FROM chat_messages');
      return row?.['n'] === 3;
    });
    slow.leave();
    expect((await first).replies[0]?.in_reply_to).toEqual(['m1']);
    expect((await second).replies).toEqual((await third).replies);
    expect((await third).replies[0]).toMatchObject({
      in_reply_to: ['m2', 'm3'],
      metadata: { n: 2 },
    });
    expect(slow.runs()).toBe(2);
  });

  it('under human has no replies: the message is in the history for a person to read', async () => {
    api = await startApi();
    const device = randomUUID();
    await api.call('PUT', '/api/lock', { device, body: { agent: 'human' } });
    const answer = await ask(device, 'is anybody there?', { message_id: 'm1' });
    expect(answer).toMatchObject({ replies: [], active_agent: 'human', persisted: true });
    expect(await ask(device, 'is anybody there?', { message_id: 'm1' })).toEqual(answer);
    const rows = await api.sql('SELECT content, status, seq::int FROM chat_messages');
    expect(rows).toEqual([{ content: 'is anybody there?', status: 'recorded', seq: 1 }]);
  });

  it('after a try that failed: the message is tried again, and answered once', async () => {
    let runs = 0;
    const shaky = defineAgent({
      key: 'shaky',
      description: 'Fails at first',
      matches: () => true,
      answer(turn) {
        if (++runs === 1) throw new Error('not today');
        turn.reply('here I am');
      },
    });
    api = await startApi({}, { registry: createRegistry([shaky]) });
    const answer = await ask(randomUUID(), 'hello');
    expect(answer.replies.map(({ content }) => content)).toEqual(['here I am']);
    expect(runs).toBe(2);
    expect(JSON.stringify(api.events)).not.toContain('not today');
  });
});

describe('202 queued', () => {
  it('when the wait for somebody else’s turn is over; the message is stored and answered later', async () => {
    const slow = slowAgent();
    api = await startApi({ REPLY_WAIT: '0' }, { registry: createRegistry([slow.agent]) });
    const device = randomUUID();
    const first = ask(device, 'one', { message_id: 'm1' });
    await slow.entered;
    const second = await within(
      30,
      'the answer',
      post(device, { message: 'two', message_id: 'm2' }),
    );
    expect([second.status, second.json]).toEqual([202, { message_id: 'm2', queued: true }]);
    expect(second.headers.get('retry-after')).toMatch(/^\d+$/);
    slow.leave();
    await first;
    await api.settled();
    expect((await ask(device, 'two', { message_id: 'm2' })).replies).toHaveLength(1);
  });
});

describe('500 agent_failed', () => {
  it('once the agents have failed on the message MAX_ATTEMPTS times; it is set aside', async () => {
    const broken = defineAgent({
      key: 'broken',
      description: 'Fails',
      matches: () => true,
      answer() {
        throw new TypeError('secret words');
      },
    });
    api = await startApi({ MAX_ATTEMPTS: '1' }, { registry: createRegistry([broken]) });
    const device = randomUUID();
    const answer = await post(device, { message: 'hello', message_id: 'm1' });
    expectProblem(answer, 500, 'agent_failed');
    expect(await api.sql('SELECT status, error, attempts FROM chat_messages')).toEqual([
      { status: 'failed', error: 'TypeError', attempts: 1 },
    ]);
    expect(answer.text + JSON.stringify(api.events)).not.toContain('secret words');
    expectProblem(await post(device, { message: 'hello', message_id: 'm1' }), 500, 'agent_failed');
  });
});

describe('503 storage_unavailable', () => {
  it('while the database is away, without STATELESS_FALLBACK', async () => {
    api = await startApi();
    api.wire.cut();
    const answer = await within(10, 'the refusal', post(randomUUID(), { message: 'hello' }));
    expectProblem(answer, 503, 'storage_unavailable');
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
  });

  it('with STATELESS_FALLBACK the manager answers all the same, and says that nothing was kept', async () => {
    api = await startApi({ STATELESS_FALLBACK: 'true' });
    api.wire.cut();
    const greeted = await ask(randomUUID(), 'hello');
    expect(greeted).toMatchObject({ persisted: false, session_id: null, active_agent: null });
    expect(greeted.replies.map(({ agent }) => agent)).toEqual(['manager']);
    const booked = await ask(randomUUID(), 'book an appointment');
    expect(booked).toMatchObject({ persisted: false, active_agent: null });
    expect(booked.replies.map(({ agent }) => agent)).toEqual(['manager']);
    api.wire.resume();
    expect(await ask(randomUUID(), 'hello')).toMatchObject({ persisted: true });
  });

  it('also with STATELESS_FALLBACK once the message is stored: somebody will answer it, and twice is wrong', async () => {
    let answers = 0;
    const agent = defineAgent({
      key: 'manager',
      description: 'Loses the database at its first answer',
      answer(turn) {
        if (answers++ === 0) api.wire.cut();
        turn.reply('the answer');
      },
    });
    api = await startApi(
      { STATELESS_FALLBACK: 'true', TURN_LEASE: '1' },
      { registry: createRegistry([], agent) },
    );
    const device = randomUUID();
    const asked = { message: 'hello', message_id: 'm1' };
    const broken = await within(20, 'the refusal', post(device, asked));
    expectProblem(broken, 503, 'storage_unavailable');
    expect(answers).toBe(1);
    api.wire.resume();
    const again = await ask(device, 'hello', { message_id: 'm1' });
    expect(again).toMatchObject({ persisted: true, replies: [{ content: 'the answer' }] });
  });
});

describe('400', () => {
  it.each([
    ['no message', {}],
    ['a message that is no text', { message: 5 }],
    ['an empty message_id', { message: 'x', message_id: '' }],
    ['a message_id that is no text', { message: 'x', message_id: 5 }],
    ['a message_id of 513 characters', { message: 'x', message_id: 'i'.repeat(513) }],
    ['metadata that is no object', { message: 'x', metadata: [] }],
  ])('invalid_request: %s', async (_, body) => {
    api = await startApi();
    await refuse(api, [400, 'invalid_request'], 'POST', PATH, { device: randomUUID(), body });
  });

  it('unstorable_text: U+0000 in the metadata; in the message it is only removed', async () => {
    api = await startApi();
    const device = randomUUID();
    const body = { message: 'x', metadata: { a: '\u0000' } };
    await refuse(api, [400, 'unstorable_text'], 'POST', PATH, { device, body });
    await ask(device, 'a\u0000b\ud800c');
    const rows = await api.sql(`SELECT content FROM chat_messages WHERE role = 'user'`);
    expect(rows).toEqual([{ content: 'ab\ufffdc' }]);
  });
});
