import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { until } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { answerOf, type Visitor, visitor } from './web.ts';

// The web webhook with the agents of this deployment: who holds the conversation from one message to the next.

let api: Api;
let page: Visitor;

beforeAll(async () => {
  api = await startApi({ SESSION_TTL: '3600' });
});
beforeEach(() => {
  page = visitor(api, crypto.randomUUID());
});
afterEach(() => api.settled());
afterAll(() => api.close());

const free = () => ({ device_id: page.device, active_agent: null });

describe('who holds the conversation', () => {
  test('"Hello" takes no lock, and neither does a message that only the manager can answer', async () => {
    for (const message of ['Hello', 'What is the meaning of life?']) {
      const { active_agent: holder, replies } = answerOf(await page.send(message));

      expect(holder).toBeNull();
      expect(replies).toMatchObject([{ agent: 'manager' }]);
    }
    expect(await page.lock()).toEqual(free());
  });

  test('a wish takes the lock for the agent that can help, which keeps it until it ends', async () => {
    const holders: (string | null)[] = [];
    for (const message of ['I want to book', 'a haircut', 'on Monday', 'at 10:30', 'Thank you']) {
      holders.push(answerOf(await page.send(message)).active_agent);
    }

    expect(holders).toEqual(['scheduling', 'scheduling', 'scheduling', null, null]);
    const { json } = await api.call('GET', '/api/state', { device: page.device });
    expect(json).toMatchObject({
      state: { scheduling: { booking: { service: 'a haircut', day: 'Monday', time: '10:30' } } },
    });
  });

  test('the history holds every message and reply, in the order of the turns, without a gap', async () => {
    await page.say('I want to book');
    await page.say('a haircut');

    expect(await page.rows()).toMatchObject([
      { seq: 1, role: 'user', content: 'I want to book' },
      { seq: 2, role: 'assistant', agent: 'scheduling' },
      { seq: 3, role: 'user', content: 'a haircut' },
      { seq: 4, role: 'assistant', agent: 'scheduling' },
    ]);
  });

  test('an agent that an operator set answers the next message', async () => {
    await api.call('PUT', '/api/lock', { device: page.device, body: { agent: 'billing' } });

    const { active_agent: holder, replies } = answerOf(await page.send('Hello'));

    expect([holder, replies]).toMatchObject(['billing', [{ agent: 'billing' }]]);
  });

  test('an agent that is not code here falls back to the manager', async () => {
    await api.call('PUT', '/api/lock', {
      device: page.device,
      body: { agent: 'removed-last-week' },
    });

    expect(answerOf(await page.send('Hello')).replies).toMatchObject([{ agent: 'manager' }]);
  });

  test.for(['cancel', 'Start over!'])('"%s" ends the hold', async (words) => {
    await page.say('I want to book');

    expect(answerOf(await page.send(words)).active_agent).toBeNull();

    expect(await page.lock()).toEqual(free());
  });

  test('the wish for a person hands over: the next message has no reply, also not later', async () => {
    const passed = answerOf(await page.send('I want to talk to a human'));
    expect(passed).toMatchObject({ active_agent: 'human', replies: [{ agent: 'manager' }] });

    const alone = answerOf(await page.send('Are you there?'));
    expect(alone).toMatchObject({ active_agent: 'human', replies: [] });

    await api.call('DELETE', '/api/lock', { device: page.device });
    const after = answerOf(await page.send('Hello'));
    expect(after).toMatchObject({ active_agent: null, replies: [{ agent: 'manager' }] });
    expect((await page.rows()).filter(({ role }) => role === 'assistant')).toHaveLength(2);
  });

  test('"cancel" does not end the hold of a person', async () => {
    await api.call('PUT', '/api/lock', { device: page.device, body: { agent: 'human' } });

    expect(answerOf(await page.send('cancel'))).toMatchObject({
      active_agent: 'human',
      replies: [],
    });
  });

  test('a held lock renews on each turn its agent answers: later end, same version', async () => {
    await page.say('I want to book');
    const before = await page.lock();
    await api.sql(
      `UPDATE conversation_states SET lock_expires_at = lock_expires_at - interval '30 minutes' WHERE device_id = $1`,
      [page.device],
    );

    await page.say('a haircut');

    const [row] = await api.sql(
      `SELECT lock_version::text AS version, lock_expires_at > now() + interval '59 minutes' AS renewed
       FROM conversation_states WHERE device_id = $1`,
      [page.device],
    );
    expect(row?.['renewed']).toBe(true);
    expect(before).toMatchObject({ version: row?.['version'] });
  });
});

describe('the chat session', () => {
  test('goes on from message to message', async () => {
    const first = answerOf(await page.send('Hello'));

    expect(answerOf(await page.send('Hello')).session_id).toBe(first.session_id);
  });

  test('over after SESSION_TTL without a word: the next message begins another, whose agents see no history', async () => {
    const first = answerOf(await page.send('Hello'));
    await api.sql(
      `UPDATE conversation_states SET session_expires_at = now() WHERE device_id = $1`,
      [page.device],
    );
    await api.sql(`UPDATE chat_sessions SET expires_at = now() WHERE device_id = $1`, [
      page.device,
    ]);

    const second = answerOf(await page.send('Hello'));

    expect(second.session_id).not.toBe(first.session_id);
    // the manager greets anew; with a history it would not
    expect(second.replies[0]?.content).toBe(first.replies[0]?.content);
  });

  test('each device has its own', async () => {
    const other = answerOf(await visitor(api, crypto.randomUUID()).send('Hello'));

    expect(answerOf(await page.send('Hello')).session_id).not.toBe(other.session_id);
  });
});

describe('the message', () => {
  test('without a message_id gets one, a UUID, by which it is asked for again', async () => {
    const first = answerOf(await page.send('Hello'));
    expect(first.message_id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

    expect(answerOf(await page.send('Hello', first.message_id))).toEqual(first);
  });

  test('sent again after the hold it began has ended, gives the first answer, its holder included', async () => {
    const first = answerOf(await page.send('I want to book', 'm1'));
    expect(first.active_agent).toBe('scheduling');
    await page.say('cancel');

    expect(answerOf(await page.send('I want to book', 'm1'))).toEqual(first);
  });

  test('is stored with its metadata', async () => {
    await page.send('Hello', 'm1', { page: '/prices', nested: { a: [1] } });

    expect(await page.rows()).toMatchObject([
      { external_id: 'm1', metadata: { page: '/prices', nested: { a: [1] } } },
      { role: 'assistant' },
    ]);
  });
});

describe('a person takes over while an agent is at its answer', () => {
  test('the agent’s answer is not told and not stored; the message is in the history', async () => {
    const script = scripted();
    const held = await startApi({}, { registry: script.registry });
    try {
      const visit = visitor(held, crypto.randomUUID());
      const release = script.hold();
      const asked = visit.send('Hello', 'm1');
      await until('the agent is at work', async () => script.turns.length === 1);

      await held.call('PUT', '/api/lock', { device: visit.device, body: { agent: 'human' } });
      release();

      expect(answerOf(await asked)).toMatchObject({ active_agent: 'human', replies: [] });
      expect(await visit.rows()).toMatchObject([{ seq: 1, content: 'Hello', status: 'recorded' }]);
    } finally {
      await held.close();
    }
  });
});
