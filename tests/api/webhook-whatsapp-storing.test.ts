import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BatonError } from '../../lib/errors.ts';
import type { Storage } from '../../lib/storage/storage.ts';
import { deployed } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { until, within } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { load, NUMBERS, webhook } from './whatsapp.ts';

// What is stored, what the log tells of it, and when Meta is asked to send again.

const script = scripted();
const hook = webhook(script);
const { post, deliver, rows, users } = hook;

beforeEach(async () => {
  script.reset();
  await hook.restart();
});
afterEach(() => hook.api.settled());
afterAll(() => hook.close());

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
