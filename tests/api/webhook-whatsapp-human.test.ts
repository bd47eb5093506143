import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../support/waiting.ts';
import { bodyOf } from '../support/whatsapp.ts';
import { scripted } from './scripted.ts';
import { load, sentAgo, webhook } from './whatsapp.ts';

// A colleague answers from the business's own app: the conversation is theirs.

const script = scripted();
const hook = webhook(script);
const { post, deliver, rows, users } = hook;

beforeEach(async () => {
  script.reset();
  await hook.restart({ HUMAN_TTL: '600' });
});
afterEach(() => hook.api.settled());
afterAll(() => hook.close());

const ANA = { from: '12025550101', userId: 'US.10000000000000000101' };
const say = async (body: string, from: { from?: string; userId?: string } = ANA) => {
  await post(new TextEncoder().encode(bodyOf([{ ...from, body }])));
  await hook.api.settled();
};

/** The holder of the only conversation there is, and how many seconds are left to them. */
async function hold() {
  const [state] = await hook.api.sql(
    `SELECT active_agent AS agent, extract(epoch FROM lock_expires_at - clock_timestamp())::int AS left
     FROM conversation_states`,
  );
  return state;
}
/** The echo as another message of the same colleague. */
async function echo(file: string, suffix: string): Promise<void> {
  const raw = new TextDecoder().decode(await load(file));
  const other = raw.replaceAll(/"id":"wamid\./g, `"id":"wamid.${suffix}.`);
  expect((await post(new TextEncoder().encode(other))).status).toBe(200);
  await hook.api.settled();
}

describe('an echo', () => {
  test('takes the conversation over for HUMAN_TTL, and stands in the history as theirs', async () => {
    await deliver('msg-text.json', 'echo-smb-text.json');

    expect(await hold()).toEqual({ agent: 'human', left: expect.closeTo(600, -1) });
    const history = await hook.api.sql(
      'SELECT role, agent, content, status FROM chat_messages ORDER BY seq',
    );
    expect(history).toMatchObject([
      { role: 'user', status: 'answered' },
      { role: 'assistant' },
      {
        role: 'assistant',
        agent: 'human',
        content: "Here's the info you requested! https://www.example.com/quest/",
        status: 'recorded',
      },
    ]);
  });

  test('silences the agents until it lapses; what came meanwhile is never answered', async () => {
    await deliver('echo-smb-text.json');
    await say('thank you');
    expect(script.turns).toEqual([]);
    expect(await users()).toMatchObject([{ content: 'thank you', status: 'recorded' }]);

    await hook.api.sql(
      `UPDATE conversation_states SET lock_expires_at = clock_timestamp() - interval '1 second'`,
    );
    await say('one more thing');
    expect(script.turns).toEqual([['one more thing']]);
  });

  test('each one renews it', async () => {
    await deliver('echo-smb-text.json');
    await hook.api.sql(
      `UPDATE conversation_states SET lock_expires_at = lock_expires_at - interval '500 seconds'`,
    );
    await echo('echo-smb-text.json', 'second');

    expect(await hold()).toEqual({ agent: 'human', left: expect.closeTo(600, -1) });
  });

  test('delivered again renews nothing', async () => {
    await deliver('echo-smb-text.json');
    await hook.api.sql(
      `UPDATE conversation_states SET lock_expires_at = lock_expires_at - interval '500 seconds'`,
    );
    await deliver('echo-smb-text.json');

    expect(await hold()).toEqual({ agent: 'human', left: expect.closeTo(100, -1) });
    expect(await rows()).toHaveLength(1);
  });

  test('does not shorten what an operator has taken for longer', async () => {
    await deliver('msg-text.json');
    const device = String((await users())[0]?.['device']);
    const body = { agent: 'human', session_ttl: 86_400 };
    await hook.api.call('PUT', '/api/lock', { device, body });
    await deliver('echo-smb-text.json');

    expect(await hold()).toEqual({ agent: 'human', left: expect.closeTo(86_400, -2) });
  });

  test('to somebody who never shows a number takes over all the same', async () => {
    await deliver('echo-smb-bsuid-only.json');
    await say('hi', { userId: 'US.10000000000000000104' });

    expect(script.turns).toEqual([]);
    expect(await hold()).toMatchObject({ agent: 'human' });
  });

  test('takes the turn from an agent at work: its answer is never sent', async () => {
    const release = script.hold();
    await post(await load('msg-text.json'));
    await until('the agent is at work', async () => script.turns.length === 1);
    await post(await load('echo-smb-text.json'));
    release();
    await hook.api.settled();

    const replies = (await rows()).filter(({ role }) => role === 'assistant');
    expect(replies).toMatchObject([{ content: expect.stringMatching(/^Here's the info/) }]);
  });

  test.for(['echo-smb-edit.json', 'echo-smb-revoke.json'])(
    'of something done to an earlier message is noted, and takes nothing over: %s',
    async (file) => {
      await deliver('msg-text.json', file);

      expect(await hold()).toEqual({ agent: null, left: null });
      expect((await rows()).at(-1)).toMatchObject({ role: 'assistant', status: 'recorded' });
      await say('hello?');
      expect(script.turns).toHaveLength(2);
    },
  );

  test('that comes a day late is kept, and takes nothing over', async () => {
    await post(await sentAgo('echo-smb-text.json', 86_400 + 60));

    expect(await hold()).toEqual({ agent: null, left: null });
    expect(await rows()).toHaveLength(1);
  });

  test('and never starts a turn itself, nor does a sync of old chats', async () => {
    await deliver(
      'echo-smb-text.json',
      'coex-history-chunk.json',
      'coex-history-media-with-messages-array.json',
      'coex-app-state-sync.json',
      'id-from-is-our-own-number.json',
    );

    expect(script.turns).toEqual([]);
    expect(await rows()).toHaveLength(1);
  });
});
