import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expectProblem, until, within } from '../support/api.ts';
import { scripted } from './scripted.ts';
import { load, webhook } from './whatsapp.ts';

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
    'echo-smb-text.json',
    'bad-message-without-id.json',
    'bad-message-id-number.json',
    'bad-message-id-5000-chars.json',
    'bad-message-without-sender.json',
    'bad-metadata-missing.json',
    'bad-phone-number-id-big-number.json',
    'bad-object-wrong-case.json',
    'status-unknown-wamid.json',
  ])('%s is answered 200 and leaves no trace', async (file) => {
    const before = await hook.api.stored();

    await deliver(file);

    expect(await hook.api.stored()).toEqual(before);
    expect(script.turns).toEqual([]);
  });

  test.for([
    'msg-image-caption.json',
    'msg-sticker-static.json',
    'msg-contacts.json',
    'msg-interactive-button-reply.json',
    'msg-button-without-context.json',
    'msg-reaction.json',
    'msg-unsupported-poll.json',
    'msg-future-type.json',
    'bad-text-body-number.json',
    'bad-text-body-object.json',
  ])('%s is a kind that is left for later: answered 200, nothing stored', async (file) => {
    const before = await hook.api.stored();

    await deliver(file);

    expect(await hook.api.stored()).toEqual(before);
    expect(script.turns).toEqual([]);
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

describe('200 once everything usable is stored, 5xx only when storing failed', () => {
  test('the answer does not wait for the agent', async () => {
    const release = script.hold();

    const answer = await within(5, 'the 200', post(await load('msg-text.json')));

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

    expect(hook.api.events.length).toBeGreaterThan(0);
    expect(JSON.stringify(hook.api.events)).not.toMatch(
      /another color|I want this colour|12025550101|Ana Fixture/,
    );
  });
});
