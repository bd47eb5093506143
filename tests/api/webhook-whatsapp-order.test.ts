import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { load, sentAgo, webhook } from './whatsapp.ts';

// In which order texts are answered, and what happens to those that arrive at the same moment.

const script = scripted();
const hook = webhook(script);
const { post, deliver, rows, users } = hook;

beforeEach(async () => {
  script.reset();
  await hook.restart();
});
afterEach(() => hook.api.settled());
afterAll(() => hook.close());

/** How many people the messages are of. */
const devices = async () => new Set((await users()).map(({ device }) => device)).size;

describe('order', () => {
  test('three texts of one person in one body are one turn, in their order', async () => {
    await post(await sentAgo('batch-three-messages-one-user.json', 60));
    await hook.api.settled();

    expect(script.turns).toEqual([['hi', 'are you there', 'I need help with my order']]);
    expect((await rows()).map(({ role }) => role)).toEqual(['user', 'user', 'user', 'assistant']);
  });

  test('the sender’s clock decides, not the place in the body', async () => {
    await post(await sentAgo('order-descending-inside-batch.json', 60));
    await hook.api.settled();

    expect(script.turns).toEqual([['one', 'two', 'three']]);
  });

  test('within one second the place in the body decides', async () => {
    await post(await sentAgo('order-same-second.json', 60));
    await hook.api.settled();

    expect(script.turns).toEqual([['a', 'b', 'c']]);
  });

  test('of two that wait the older is answered first, though it arrived second', async () => {
    const release = script.hold();
    await post(await sentAgo('msg-text.json', 120));
    await until('the agent is at work', async () => script.turns.length === 1);
    await post(await sentAgo('order-1-newer-arrives-first.json', 60));
    await post(await sentAgo('order-2-older-arrives-late.json', 60));
    release();
    await hook.api.settled();

    expect(script.turns[1]).toEqual(['FIRST: my name is Ana', 'SECOND: what is my name?']);
  });

  test.for([
    'bad-timestamp-milliseconds.json',
    'bad-timestamp-far-future.json',
    'bad-timestamp-negative.json',
  ])('a time that makes no sense gives way to the arrival: %s', async (file) => {
    await deliver(file);

    const [message] = await users();
    expect(message?.['sent_at']).toEqual(message?.['created_at']);
  });
});

describe('at the same moment', () => {
  test('fifty copies of one body are one message and one turn', async () => {
    const raw = await load('msg-text.json');

    const answers = await Promise.all(Array.from({ length: 50 }, () => post(raw)));
    await hook.api.settled();

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(script.turns).toEqual([['Does it come in another color?']]);
    expect(await rows()).toHaveLength(2);
  });

  test('two texts of one person: both are answered, by one agent at a time', async () => {
    let atWork = 0;
    let most = 0;
    script.play(async (turn) => {
      most = Math.max(most, ++atWork);
      await new Promise((resolve) => setImmediate(resolve));
      turn.reply(`re ${turn.text}`);
      atWork--;
    });

    await Promise.all(
      ['race-a-same-user.json', 'race-b-same-user.json'].map(async (file) =>
        post(await load(file)),
      ),
    );
    await hook.api.settled();

    expect(most).toBe(1);
    expect(script.turns.flat().toSorted()).toEqual(['I want to talk to sales', 'no wait, support']);
    expect((await users()).map(({ status }) => status)).toEqual(['answered', 'answered']);
    expect(await devices()).toBe(1);
  });

  test('the first two texts ever of one person do not make two people', async () => {
    const files = [
      'msg-text.json',
      'msg-text-legacy-no-bsuid.json',
      'race-a-same-user.json',
      'race-b-same-user.json',
    ];
    await Promise.all(files.map(async (file) => post(await load(file))));
    await hook.api.settled();

    expect(await users()).toHaveLength(4);
    expect(await devices()).toBe(1);
  });
});
