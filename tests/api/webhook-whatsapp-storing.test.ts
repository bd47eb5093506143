import { createServer } from 'node:http';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenLocally } from '../../dev/listen.ts';
import { BatonError } from '../../lib/errors.ts';
import type { Message, Storage } from '../../lib/storage/storage.ts';
import { deployed, expectProblem, until, within } from '../support/api.ts';
import { scripted } from './scripted.ts';
import { load, NUMBERS, sentAgo, webhook } from './whatsapp.ts';

// What is stored and what is not, and when Meta is asked to send again.

const script = scripted();
const hook = webhook(script);
const { post, deliver, rows, users } = hook;

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

describe('200 once everything usable is stored, 5xx only when storing failed', () => {
  test('the answer does not wait for the agent', async () => {
    const release = script.hold();

    const answer = await within(30, 'the 200', post(await load('msg-text.json')));

    expect(answer.status).toBe(200);
    expect(await users()).toMatchObject([{ status: 'waiting' }]);
    release();
    await hook.api.settled();
    expect(await users()).toMatchObject([{ status: 'answered' }]);
  });

  test('an agent that fails is no reason for another delivery', async () => {
    script.play((turn) => {
      if (script.turns.length === 1) throw new Error('the model is out');
      turn.reply('here I am');
    });

    const answer = await post(await load('msg-text.json'));
    await hook.api.settled();

    expect(answer.status).toBe(200);
    expect(script.turns).toHaveLength(2);
    expect(await users()).toMatchObject([{ status: 'answered' }]);
  });

  test('the database is away: 503; the retry is stored and answered once', async () => {
    const raw = await load('dup-1-original.json');
    hook.api.wire.cut();
    expectProblem(await within(10, 'the refusal', post(raw)), 503, 'storage_unavailable');
    hook.api.wire.resume();

    await deliver('dup-2-identical-retry.json');

    expect(script.turns).toEqual([['Please cancel my order 4711']]);
    expect(await users()).toHaveLength(1);
  });

  // a deployment's storage cannot be replaced
  test.skipIf(deployed)(
    'the database is away when the answer is there, and when it was sent: its worker waits, and no agent runs again',
    async () => {
      const raw = await load('dup-1-original.json');
      const { storage } = hook.api.app;
      const calls = { commit: 0, settle: 0 };
      const away = () => new BatonError('storage_unavailable', 'away for the moment');
      const commit: Storage['commit'] = (...sent) =>
        ++calls.commit < 3 ? Promise.reject(away()) : storage.commit(...sent);
      const settle: Storage['settle'] = (...sent) =>
        ++calls.settle < 3 ? Promise.reject(away()) : storage.settle(...sent);
      hook.api.app.storage = { ...storage, commit, settle };

      expect((await post(raw)).status).toBe(200);
      await hook.api.settled();

      hook.api.app.storage = storage;
      expect(calls).toEqual({ commit: 3, settle: 3 });
      expect(script.turns).toEqual([['Please cancel my order 4711']]);
      expect(await users()).toMatchObject([{ status: 'answered' }]);
    },
  );

  // a deployment's storage cannot be replaced
  test.skipIf(deployed)(
    'the statuses cannot be kept: 503, though the messages are; the retry does no harm',
    async () => {
      const raw = await load('batch-messages-and-statuses-in-one-value.json');
      const { storage } = hook.api.app;
      const noteStatuses = () =>
        Promise.reject(new BatonError('storage_unavailable', 'away for the moment'));
      hook.api.app.storage = { ...storage, noteStatuses };
      expectProblem(await post(raw), 503, 'storage_unavailable');
      await hook.api.settled();
      expect(await users()).toMatchObject([{ status: 'answered' }]);

      hook.api.app.storage = storage;
      expect((await post(raw)).status).toBe(200);
      await hook.api.settled();
      expect(script.turns).toEqual([['both in one value']]);
    },
  );

  test('a redelivery takes the turn of the first copy, whose function was killed', async () => {
    const release = script.hold();
    await post(await load('dup-1-original.json'));
    await until('the agent is at work', async () => script.turns.length === 1);
    await hook.api.sql(
      `UPDATE conversation_states SET turn_expires_at = now() - interval '1 second'`,
    );
    script.reset();

    await post(await load('dup-4-same-wamid-other-timestamp.json'));
    await until('it is answered', async () => (await users())[0]?.['status'] === 'answered');
    release();
    await hook.api.settled();

    expect(await rows()).toHaveLength(2);
  });

  test('long texts are stored whole', async () => {
    await deliver('text-65536-characters.json', 'text-512kb-on-wire-emoji.json');

    const lengths = (await users()).map(({ content }) => String(content).length);
    expect(lengths).toEqual([65_536, 87_380]);
  });

  test.for([
    ['raw-empty.raw', 'invalid_json'],
    ['raw-invalid-utf8.raw', 'invalid_json'],
    ['raw-utf16le.raw', 'invalid_json'],
    ['bad-top-level-string.json', 'invalid_request'],
  ] as const)('400: %s is no JSON object', async ([file, code]) => {
    expectProblem(await post(await load(file)), 400, code);
    expect(await rows()).toEqual([]);
  });

  test('the log carries ids and counts, no text and no number', async () => {
    await deliver('msg-text.json', 'bad-message-without-id.json', 'msg-image-caption.json');
    await deliver('msg-system-user-changed-number.json', 'status-failed-131026-undeliverable.json');

    expect(hook.api.events.length).toBeGreaterThan(0);
    expect(JSON.stringify(hook.api.events)).not.toMatch(
      /another color|I want this colour|1202555|Ana Fixture|no id/,
    );
  });

  test.for<[string, object]>([
    [
      'unknown-phone-number-id.json',
      { event: 'whatsapp_unknown_number', phone_number_id: '299999999999999' },
    ],
    ['bad-metadata-missing.json', { event: 'whatsapp_unknown_number' }],
    [
      'field-account-update-violation.json',
      { event: 'whatsapp_account_update', what: 'ACCOUNT_VIOLATION' },
    ],
    ['field-messages-value-errors-only.json', { event: 'whatsapp_errors', codes: [130429] }],
    ['bad-message-without-sender.json', { event: 'whatsapp_ignored', what: ['no_sender'] }],
    ['bad-object-page.json', { event: 'whatsapp_ignored', what: ['other_object'] }],
    ['field-unknown-future.json', { event: 'whatsapp_ignored' }],
  ])('%s is one line in the log', async ([file, line]) => {
    await hook.restart({ WHATSAPP_PHONE_NUMBER_IDS: NUMBERS });
    hook.api.events.length = 0;

    await deliver(file);

    // that everything is open, a deployment says with its first answer
    const told = hook.api.events.filter(({ event }) => event !== 'open_mode');
    expect(told).toMatchObject([line]);
  });
});
