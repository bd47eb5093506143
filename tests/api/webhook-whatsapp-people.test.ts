import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startGraph } from '../support/graph.ts';
import { bodyOf, type Text } from '../support/whatsapp.ts';
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

/** Texts in bodies of their own, each worked off before the next. */
async function say(...texts: Text[]): Promise<void> {
  for (const text of texts) {
    const { status } = await hook.post(new TextEncoder().encode(bodyOf([text])));
    expect(status).toBe(200);
    await hook.api.settled();
  }
}

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

  test('one person is another to each of our numbers', async () => {
    await deliver('dup-1-original.json', 'dup-5-same-wamid-other-number.json');

    expect(await conversations()).toEqual([
      ['Please cancel my order 4711'],
      ['Please cancel my order 4711'],
    ]);
    expect(script.turns).toHaveLength(2);
  });

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

describe('a number that has two spellings', () => {
  test.for([
    ['Mexico', '5215555550105', '525555550105'],
    ['Argentina', '5491155550107', '541155550107'],
    ['Brazil', '5511955550106', '551155550106'],
  ] as const)(
    'is one person, reached under the one they wrote with: %s',
    async ([, long, short]) => {
      const graph = await startGraph();
      try {
        await hook.restart({ WHATSAPP_ACCESS_TOKEN: 'token', WHATSAPP_API_URL: graph.url });
        await say({ from: long, body: 'one' }, { from: short, body: 'two' });
        await say({ from: `+${long}`, body: 'three' });

        expect(await conversations()).toEqual([['one', 'three', 'two']]);
        const to = graph.sent.flatMap(({ body }) => body.to ?? []);
        expect(to).toEqual([long, short, `+${long}`]);
      } finally {
        await graph.close();
      }
    },
  );

  test('is still two people where Meta names two user ids', async () => {
    await say(
      { from: '5511955550106', userId: 'BR.1', body: 'the mobile' },
      { from: '551155550106', userId: 'BR.2', body: 'the landline' },
    );

    expect(await conversations()).toEqual([['the landline'], ['the mobile']]);
  });
});

describe('a person whose ids change', () => {
  /** Takes the lock of the only conversation there is. */
  const hold = async () => {
    const [message] = await users();
    const device = String(message?.['device']);
    await hook.api.call('PUT', '/api/lock', { device, body: { agent: 'elsewhere' } });
    return device;
  };
  const holderOf = async (device: string) => {
    const { json } = await hook.api.call('GET', '/api/lock', { device });
    return (json as { active_agent: unknown }).active_agent;
  };
  const now: Text[] = [
    { from: '12025550112', userId: 'US.10000000000000000112', body: 'under both' },
    { from: '12025550112', body: 'under the number' },
    { userId: 'US.10000000000000000112', body: 'under the id' },
  ];

  test.for<[string, string, Text[]]>([
    ['a new number and a new id', 'msg-system-user-changed-number.json', now],
    [
      'in the words of older versions',
      'msg-system-legacy-customer-changed-number.json',
      now.slice(1, 2),
    ],
    ['as a field of its own', 'field-user-id-update-legacy.json', now],
  ])('%s: conversation and lock go on, under old ids and new', async ([, file, texts]) => {
    await deliver('msg-text.json');
    const device = await hold();

    await deliver(file);
    await say(...texts, { from: '12025550101', userId: 'US.10000000000000000101', body: 'late' });

    expect(await devices()).toBe(1);
    expect(await holderOf(device)).toBe('elsewhere');
  });

  test('a new id of somebody who never shows a number', async () => {
    await deliver('id-bsuid-only.json');
    const device = await hold();

    await deliver('msg-system-user-changed-user-id.json');
    await say({ userId: 'US.10000000000000000113', body: 'still me' });

    expect(await devices()).toBe(1);
    expect(await holderOf(device)).toBe('elsewhere');
  });

  test.for(['msg-system-user-changed-number.json', 'field-user-id-update-legacy.json'])(
    'the news comes before anything they wrote: %s',
    async (file) => {
      await deliver(file);
      await say(...now);
      await deliver('msg-text.json');

      expect(await devices()).toBe(1);
    },
  );

  test('the old number, taken over by somebody else, is theirs', async () => {
    await deliver('msg-text.json', 'msg-system-user-changed-number.json');
    await say({ from: '12025550101', userId: 'GB.7', body: 'I have this number now' });
    await say({ from: '12025550112', userId: 'US.10000000000000000112', body: 'me' });

    const byDevice = await conversations();
    expect(byDevice).toHaveLength(2);
    expect(byDevice).toContainEqual(['I have this number now']);
  });
});

describe('two people with one number', () => {
  test.for<[string, Text[]]>([
    [
      'one after the other',
      [
        { from: '12025550150', userId: 'US.A', body: 'a' },
        { from: '12025550150', userId: 'US.B', body: 'b' },
        { from: '12025550150', userId: 'US.A', body: 'a' },
        { from: '12025550150', userId: 'US.B', body: 'b' },
      ],
    ],
    [
      'one of them also without it',
      [
        { userId: 'US.B', body: 'b' },
        { from: '12025550150', userId: 'US.A', body: 'a' },
        { from: '12025550150', userId: 'US.B', body: 'b' },
        { userId: 'US.A', body: 'a' },
      ],
    ],
    [
      'seen by the number first',
      [
        { from: '12025550150', body: 'a' },
        { from: '12025550150', userId: 'US.A', body: 'a' },
        { from: '12025550150', userId: 'US.B', body: 'b' },
        { userId: 'US.B', body: 'b' },
      ],
    ],
  ])('stay two: %s', async ([, texts]) => {
    await say(...texts);

    const each = (name: string) => texts.filter(({ body }) => body === name).map(() => name);
    expect(await conversations()).toEqual([each('a'), each('b')]);
  });

  test('stay two in one body', async () => {
    const texts = [
      { from: '12025550150', userId: 'US.A', body: 'a' },
      { from: '12025550150', userId: 'US.B', body: 'b' },
    ];
    await hook.post(new TextEncoder().encode(bodyOf(texts)));

    expect(await conversations()).toEqual([['a'], ['b']]);
  });
});
