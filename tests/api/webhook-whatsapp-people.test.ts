import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startGraph } from '../support/graph.ts';
import { scripted } from './scripted.ts';
import { webhook } from './whatsapp.ts';

// Who is who: one person is one conversation, whichever of their ids a body holds, and two never share one.

const script = scripted();
const hook = webhook(script);
const { deliver, users, conversations } = hook;

beforeEach(async () => {
  script.reset();
  await hook.restart();
});
afterEach(() => hook.api.settled());
afterAll(() => hook.close());

/** How many people the messages are of. */
const devices = async () => new Set((await users()).map(({ device }) => device)).size;

describe('who is who', () => {
  test.for([
    ['phone and id, then phone alone', ['msg-text.json', 'msg-text-legacy-no-bsuid.json']],
    ['phone alone, then phone and id', ['msg-text-legacy-no-bsuid.json', 'msg-text.json']],
    [
      'the phone written with + and spaces',
      ['msg-text.json', 'id-phone-with-plus-and-spaces.json'],
    ],
    ['the phone gone later', ['id-phone-and-username.json', 'id-phone-gone-later.json']],
    [
      'never a phone, with a parent id later',
      ['id-bsuid-only.json', 'id-bsuid-only-with-parent.json'],
    ],
  ] as const)('one person: %s', async ([, files]) => {
    await deliver(...files);

    expect(await users()).toHaveLength(2);
    expect(await devices()).toBe(1);
  });

  test.for([
    [
      'first',
      ['bad-duplicate-json-keys.json', 'id-phone-and-username.json', 'id-phone-gone-later.json'],
    ],
    [
      'last',
      ['id-phone-and-username.json', 'id-phone-gone-later.json', 'bad-duplicate-json-keys.json'],
    ],
  ] as const)(
    'two people who were seen with one phone stay two: the odd body comes %s',
    async ([, files]) => {
      await deliver('msg-text.json', ...files);

      expect(await conversations()).toEqual([
        ['Does it come in another color?', 'duplicate keys'],
        ['I have a username and you know my number', 'Thirty-one days later'],
      ]);
    },
  );

  test('contacts may stand in another order than the messages', async () => {
    await deliver('msg-text.json', 'id-contacts-in-other-order.json');

    expect(await conversations()).toEqual([
      ['Does it come in another color?', 'I am Ana'],
      ['I am Ben'],
    ]);
  });

  test('a reply goes to the number its message came from, also after the person wrote from another', async () => {
    const graph = await startGraph();
    try {
      await hook.restart({ WHATSAPP_ACCESS_TOKEN: 'token', WHATSAPP_API_URL: graph.url });

      // ana from …101, ana’s id with chen’s number …103, ana from …101 again
      await deliver(
        'msg-text.json',
        'bad-duplicate-json-keys.json',
        'msg-text-frequently-forwarded.json',
      );

      expect(graph.sent.map(({ body }) => body.to)).toEqual([
        '12025550101',
        '12025550103',
        '12025550101',
      ]);
    } finally {
      await graph.close();
    }
  });
});
