import { createServer } from 'node:http';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenLocally } from '../../dev/listen.ts';
import type { Message } from '../../lib/storage/storage.ts';
import { deployed } from '../support/api.ts';
import { scripted } from './scripted.ts';
import { load, NUMBERS, sentAgo, webhook } from './whatsapp.ts';

// Which messages an agent is given and what of them, and what becomes of the others.

const script = scripted();
const hook = webhook(script);
const { deliver, rows, users } = hook;

beforeEach(async () => {
  script.reset();
  await hook.restart();
});
afterEach(() => hook.api.settled());
afterAll(() => hook.close());

describe('what is not for an agent', () => {
  test.for([
    'msg-group-text.json',
    'id-from-is-our-own-number.json',
    'coex-history-media-with-messages-array.json',
    'coex-history-chunk.json',
    'coex-app-state-sync.json',
    'unknown-phone-number-id.json',
    'field-messages-value-errors-only.json',
    'field-unknown-future.json',
    'field-user-preferences-stop.json',
    'bad-message-without-id.json',
    'bad-message-id-number.json',
    'bad-message-id-5000-chars.json',
    'bad-message-without-sender.json',
    'bad-metadata-missing.json',
    'bad-phone-number-id-big-number.json',
    'bad-object-wrong-case.json',
    'status-unknown-wamid.json',
    'status-unknown-value.json',
  ])('%s is answered 200 and leaves no trace', async (file) => {
    await hook.restart({ WHATSAPP_PHONE_NUMBER_IDS: NUMBERS });
    const before = await hook.api.stored();

    await deliver(file);

    expect(await hook.api.stored()).toEqual(before);
    expect(script.turns).toEqual([]);
  });

  test.for([
    'msg-reaction.json',
    'msg-unsupported-poll.json',
    'msg-future-type.json',
    'msg-revoke-coexistence.json',
    'bad-text-body-object.json',
    'field-calls-connect.json',
  ])('%s is in the history, and no agent is asked', async (file) => {
    await deliver(file);

    expect(await rows()).toMatchObject([{ role: 'user', status: 'recorded' }]);
    expect(script.turns).toEqual([]);
  });

  test.for(['text-empty-body.json', 'text-only-whitespace.json'])(
    '%s is answered with a fixed sentence',
    async (file) => {
      await deliver(file);

      expect(await rows()).toMatchObject([
        { role: 'user', status: 'answered' },
        { role: 'assistant', content: expect.stringMatching(/empty/) },
      ]);
      expect(script.turns).toEqual([]);
    },
  );

  test('a message taken back is marked as such where it is known, for its sender alone', async () => {
    await deliver('msg-text.json', 'id-contacts-in-other-order.json');
    const [message] = await hook.api.sql(
      `SELECT external_id FROM chat_messages WHERE content = 'Does it come in another color?'`,
    );
    const revoke = async (by: string, id: string) => {
      const raw = new TextDecoder().decode(await load('msg-revoke-coexistence.json'));
      const body = raw
        .replaceAll(/"original_message_id":"[^"]*"/g, `"original_message_id":"${id}"`)
        .replaceAll('US.10000000000000000101', by)
        .replaceAll(/"id":"wamid\./g, `"id":"wamid.${by}`);
      await hook.post(new TextEncoder().encode(body));
    };
    const deleted = () =>
      hook.api.sql(`SELECT content FROM chat_messages WHERE metadata ->> 'deleted' = 'true'`);

    await revoke('GB.10000000000000000102', String(message?.['external_id']));
    expect(await deleted()).toEqual([]);
    await revoke('US.10000000000000000101', String(message?.['external_id']));
    expect(await deleted()).toEqual([{ content: 'Does it come in another color?' }]);
  });

  test('a message of six days ago is only kept; one of 23 hours ago is answered', async () => {
    await deliver('order-stale-six-days.json');
    expect(await users()).toMatchObject([{ status: 'recorded' }]);
    expect(script.turns).toEqual([]);

    await hook.post(await sentAgo('msg-text.json', 23 * 3_600));
    await hook.api.settled();
    expect(script.turns).toEqual([['Does it come in another color?']]);
  });

  test('a number this deployment does not answer for: 200, nothing stored; without a list every number is its own', async () => {
    await hook.restart({ WHATSAPP_PHONE_NUMBER_IDS: '200000000000002, 200000000000003' });
    await deliver('msg-text.json');
    expect(await rows()).toEqual([]);

    await hook.restart();
    await deliver('unknown-phone-number-id.json');
    expect(await users()).toHaveLength(1);
  });

  test('while a person has taken over: stored for them to read, and no reply is made', async () => {
    await deliver('msg-text.json');
    const [message] = await users();
    const device = String(message?.['device']);
    await hook.api.call('PUT', '/api/lock', { device, body: { agent: 'human' } });
    script.reset();

    await deliver('race-a-same-user.json');

    expect(script.turns).toEqual([]);
    expect((await users()).at(-1)).toMatchObject({
      content: 'I want to talk to sales',
      status: 'recorded',
    });
  });
});

describe('what an agent is given', () => {
  test.for<[string, string, object]>([
    [
      'msg-image-caption.json',
      'I want this colour',
      { kind: 'image', media: { id: '300000000000001', mime_type: 'image/jpeg' } },
    ],
    ['msg-sticker-animated.json', '', { kind: 'sticker', media: { animated: true } }],
    [
      'msg-contacts.json',
      'Barbara J. Johnson, No Phone',
      {
        kind: 'contacts',
        contacts: [{ phones: [{ wa_id: '12025550111' }] }, { name: 'No Phone' }],
      },
    ],
    [
      'msg-interactive-button-reply.json',
      'Billing',
      { kind: 'button_reply', choice: { id: 'agent:billing' }, quoted: { from: '12025550199' } },
    ],
    ['msg-interactive-nfm-reply-flow.json', 'Sent', { flow: { data: { rating: '4' } } }],
    ['msg-interactive-nfm-reply-broken-json.json', 'Sent', { flow: { raw: '{"flow_token":' } }],
    ['msg-text-frequently-forwarded.json', 'text forwarded many times', { kind: 'text' }],
    ['text-nul-in-profile-name.json', 'name holds NUL', { profile: { name: expect.any(String) } }],
  ])('%s', async ([file, text, metadata]) => {
    const seen: Message[] = [];
    script.play((turn) => void seen.push(...turn.messages));

    await deliver(file);

    expect(seen).toMatchObject([{ content: text, metadata }]);
  });

  // to the agents of a deployment, which run in the test, no file is passed on
  test.skipIf(deployed)('a file that came with a message, by its id', async () => {
    const graph = createServer((request, response) => {
      const { url = '' } = request;
      const told = { url: `http://${request.headers.host}/kept`, mime_type: 'image/jpeg' };
      response.end(url === '/kept' ? 'the picture' : JSON.stringify(told));
    });
    const url = `http://127.0.0.1:${await listenLocally(graph)}`;
    await hook.restart({ WHATSAPP_ACCESS_TOKEN: 'token', WHATSAPP_API_URL: url });
    const files: string[] = [];
    script.play(async (turn) => {
      for (const message of turn.messages) {
        const { bytes, mimeType } = await turn.media(message);
        files.push(`${mimeType} ${Buffer.from(bytes).toString()}`);
      }
    });

    await deliver('msg-image-caption.json');
    graph.closeAllConnections();
    graph.close();

    expect(files).toEqual(['image/jpeg the picture']);
  });
});
