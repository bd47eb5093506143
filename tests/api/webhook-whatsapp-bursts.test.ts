import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { recover } from '../../lib/sweep.ts';
import { until } from '../support/waiting.ts';
import { bodyOf, textsOf } from '../support/whatsapp.ts';
import { scripted } from './scripted.ts';
import { webhook } from './whatsapp.ts';

// Several messages a moment apart become one turn, if BURST_WINDOW_MS says so.

const script = scripted();
const hook = webhook(script);

beforeEach(() => script.reset());
afterEach(() => hook.api.settled());
afterAll(() => hook.close());

const say = async (body: string, from = '12025550101') => {
  const { status } = await hook.post(new TextEncoder().encode(bodyOf([{ from, body }])));
  expect(status).toBe(200);
};
const open = () =>
  hook.api.sql('SELECT FROM conversation_states WHERE turn_expires_at > clock_timestamp()');
const frame = () => ({ requestId: crypto.randomUUID(), endsAt: performance.now() + 60_000 });

/** Milliseconds; long enough for calls in the middle of it on a machine that does other things too. */
const WINDOW = 2_500;

describe('with a window', () => {
  beforeEach(() => hook.restart({ BURST_WINDOW_MS: String(WINDOW) }));

  test('three messages of one person become one turn, begun when the window is over', async () => {
    const started = performance.now();
    for (const text of ['hi', 'are you there', 'I need help']) await say(text);
    expect(script.turns).toEqual([]);
    await hook.api.settled();

    expect(script.turns).toEqual([['hi', 'are you there', 'I need help']]);
    expect(performance.now() - started).toBeGreaterThanOrEqual(WINDOW);
    const replies = (await hook.rows()).filter(({ role }) => role === 'assistant');
    expect(replies).toHaveLength(1);
  });

  test('nobody who sweeps takes them away before that', async () => {
    await say('hi');
    await recover(hook.api.app, frame());
    expect(script.turns).toEqual([]);
    await say('are you there');
    await hook.api.settled();

    expect(script.turns).toEqual([['hi', 'are you there']]);
  });

  test('people are gathered each for themselves', async () => {
    await Promise.all([say('a', '12025550151'), say('b', '12025550152')]);
    await Promise.all([say('a', '12025550151'), say('b', '12025550152')]);
    await hook.api.settled();

    expect(script.turns.toSorted()).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ]);
  });

  test('a body of many senders opens no more turns than without, and nobody takes the others before the window is over', async () => {
    await hook.post(new TextEncoder().encode(textsOf(20)));
    expect((await open()).length).toBeLessThanOrEqual(4);
    await recover(hook.api.app, frame());
    expect(script.turns).toEqual([]);
    await hook.api.settled();

    expect(script.turns).toHaveLength(20);
    expect(await open()).toEqual([]);
  });

  test('a person who takes over in the middle leaves nothing to answer', async () => {
    await say('hi');
    const device = String((await hook.users())[0]?.['device']);
    await hook.api.call('PUT', '/api/lock', { device, body: { agent: 'human' } });
    await hook.api.settled();

    expect(script.turns).toEqual([]);
    expect(await hook.users()).toMatchObject([{ status: 'recorded' }]);
  });

  test('waiting counts as no attempt', async () => {
    await say('hi');
    await hook.api.settled();

    const [message] = await hook.api.sql(`SELECT attempts FROM chat_messages WHERE role = 'user'`);
    expect(message).toEqual({ attempts: 0 });
  });
});

describe('where the function is killed while it waits', () => {
  test('the message is answered once its lease has run out', async () => {
    // the worker sleeps on, as one does that nobody can reach any more
    await hook.restart({ BURST_WINDOW_MS: '1500' });
    await say('hi');
    await hook.api.sql(
      `WITH m AS (UPDATE chat_messages SET created_at = created_at - interval '1500 ms')
       UPDATE conversation_states SET turn_expires_at = clock_timestamp() - interval '1 second'`,
    );
    await recover(hook.api.app, frame());
    expect(script.turns).toEqual([['hi']]);

    await hook.api.settled();
    expect(script.turns).toEqual([['hi']]);
    expect(await hook.users()).toMatchObject([{ status: 'answered' }]);
  });
});

describe('without a window', () => {
  test('the first message is answered at once, and those behind it together', async () => {
    await hook.restart();
    const release = script.hold();
    await say('hi');
    await until('the agent is at work', async () => script.turns.length === 1);
    await say('are you there');
    await say('I need help');
    release();
    await hook.api.settled();

    expect(script.turns).toEqual([['hi'], ['are you there', 'I need help']]);
  });
});
