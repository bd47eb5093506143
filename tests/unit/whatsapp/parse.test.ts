import { describe, expect, it } from 'vitest';
import { parseWebhook } from '../../../lib/channels/whatsapp/parse.ts';
import type { JsonObject, JsonValue } from '../../../lib/json.ts';

const number = '200000000000001';
const ours = [number];

const text = (some: JsonObject = {}): JsonObject => ({
  from: '12025550101',
  from_user_id: 'US.101',
  id: 'wamid.1',
  timestamp: '1795176000',
  type: 'text',
  text: { body: 'Hello' },
  ...some,
});

/** A webhook body with one change; `value` and `change` replace parts of it. */
function bodyOf(messages: JsonValue, value: JsonObject = {}, change: JsonObject = {}): JsonObject {
  const metadata = { display_phone_number: '+1 555-010-0001', phone_number_id: number };
  const inner = { messaging_product: 'whatsapp', metadata, messages, ...value };
  return {
    object: 'whatsapp_business_account',
    entry: [{ id: '1', changes: [{ field: 'messages', value: inner, ...change }] }],
  };
}

const parsed = (messages: JsonValue, value?: JsonObject, change?: JsonObject) =>
  parseWebhook(bodyOf(messages, value, change), ours);
const contents = (messages: JsonValue) => parsed(messages).messages.map(({ content }) => content);
const without = (key: string) =>
  Object.fromEntries(Object.entries(text()).filter(([name]) => name !== key));

describe('a text message', () => {
  it('is who wrote it, to which number, when, and what', () => {
    expect(parsed([text()])).toEqual({
      messages: [
        {
          sender: { phone: '12025550101', userId: 'US.101' },
          channel: 'whatsapp',
          account: number,
          externalId: 'wamid.1',
          content: 'Hello',
          metadata: {},
          sentAt: new Date('2026-11-20T12:00:00Z'),
        },
      ],
      ignored: [],
    });
  });

  it.each<[string, JsonObject, { phone: string | null; userId: string | null }]>([
    ['a phone number alone', without('from_user_id'), { phone: '12025550101', userId: null }],
    ['a user id alone', without('from'), { phone: null, userId: 'US.101' }],
    [
      'a phone number with a plus and blanks',
      text({ from: '+1 (202) 555-0101' }),
      { phone: '12025550101', userId: 'US.101' },
    ],
    ['a phone number without digits', text({ from: '+' }), { phone: null, userId: 'US.101' }],
  ])('comes from a sender with %s', (_, message, sender) => {
    expect(parsed([message]).messages).toMatchObject([{ sender }]);
  });

  it.each([
    ['U+0000 goes', 'a\u0000b', 'ab'],
    ['half a surrogate pair becomes U+FFFD', 'cut \ud83d', 'cut \ufffd'],
    ['an empty text is a message', '', ''],
    ['blanks are a message', ' \n ', ' \n '],
    ['invisible characters stay', 'app\u200bointment', 'app\u200bointment'],
    ['noncharacters stay', '\uFFFE\uFFFF', '\uFFFE\uFFFF'],
  ])('is never lost for its characters: %s', (_, body, content) => {
    expect(contents([text({ text: { body } })])).toEqual([content]);
  });

  it('keeps a text of 65,536 characters whole', () => {
    const body = 'ü'.repeat(65_536);
    expect(contents([text({ text: { body } })])).toEqual([body]);
  });
});

describe('a batch', () => {
  it('keeps the order of its messages, over several entries and changes', () => {
    const entry = (...bodies: string[]) => ({
      changes: bodies.map((body) => ({
        field: 'messages',
        value: {
          metadata: { phone_number_id: number },
          messages: [text({ id: `wamid.${body}`, text: { body } })],
        },
      })),
    });
    const body = {
      object: 'whatsapp_business_account',
      entry: [entry('one', 'two'), entry('three')],
    };
    expect(parseWebhook(body, ours).messages.map(({ content }) => content)).toEqual([
      'one',
      'two',
      'three',
    ]);
  });

  it('gives each message the number of its own change', () => {
    const other = '200000000000002';
    const body = {
      object: 'whatsapp_business_account',
      entry: [
        ...(bodyOf([text()])['entry'] as JsonObject[]),
        ...(bodyOf([text()], { metadata: { phone_number_id: other } })['entry'] as JsonObject[]),
      ],
    };
    expect(parseWebhook(body, [number, other]).messages.map(({ account }) => account)).toEqual([
      number,
      other,
    ]);
  });

  it('takes the messages and notes the statuses of one value', () => {
    const { messages, ignored } = parsed([text()], {
      statuses: [{ id: 'wamid.9', status: 'delivered' }],
    });
    expect(messages).toHaveLength(1);
    expect(ignored).toEqual(['statuses']);
  });

  it('loses none of its messages to a broken neighbour', () => {
    const broken: JsonValue[] = [
      null,
      'text',
      7,
      [],
      {},
      text({ id: 7 }),
      text({ text: null }),
      text({ text: { body: 7 } }),
      { ...without('from'), from_user_id: 8 },
    ];
    const { messages, ignored } = parsed([
      text({ id: 'wamid.first' }),
      ...broken,
      text({ id: 'wamid.last' }),
    ]);
    expect(messages.map(({ externalId }) => externalId)).toEqual(['wamid.first', 'wamid.last']);
    expect(ignored).toEqual([
      'broken_message',
      'broken_message',
      'broken_message',
      'broken_message',
      'no_message_id',
      'no_message_id',
      'unreadable_text',
      'unreadable_text',
      'no_sender',
    ]);
  });

  it('loses none of its changes to a broken one', () => {
    const good = (bodyOf([text()])['entry'] as JsonObject[])[0] ?? {};
    const changes = [
      null,
      'x',
      { field: 'messages' },
      { field: 'messages', value: [] },
      ...(good['changes'] as JsonObject[]),
    ];
    const body = {
      object: 'whatsapp_business_account',
      entry: [null, 7, {}, { changes: null }, { changes }],
    };
    expect(parseWebhook(body, ours).messages).toHaveLength(1);
  });
});

describe('an id that is a number', () => {
  it.each<[string, JsonObject, JsonObject, string]>([
    ['of the message', text({ id: 2 ** 63 }), {}, 'no_message_id'],
    [
      'of the business number',
      text(),
      { metadata: { phone_number_id: 200000000000001 } },
      'unknown_number',
    ],
    ['of the sender', { ...without('from_user_id'), from: 12025550101 }, {}, 'no_sender'],
  ])('has lost digits and leads to nobody: %s', (_, message, value, why) => {
    expect(parsed([message], value)).toEqual({ messages: [], ignored: [why] });
  });

  it('of the phone does not hide the user id', () => {
    expect(parsed([text({ from: 12025550101 })]).messages).toMatchObject([
      { sender: { phone: null, userId: 'US.101' } },
    ]);
  });
});

describe('what is left alone, with a word for the log', () => {
  it.each<[string, JsonObject, string]>([
    ['a message without an id', without('id'), 'no_message_id'],
    ['an empty id', text({ id: '' }), 'no_message_id'],
    ['an id of 5,000 characters', text({ id: 'x'.repeat(5_000) }), 'no_message_id'],
    ['a message of nobody', { ...without('from'), from_user_id: null }, 'no_sender'],
    ['a message of the business number itself', text({ from: '15550100001' }), 'own_message'],
    ['a message to a group', text({ group_id: 'G1' }), 'group'],
    ['a message to a group of unknown shape', text({ group_id: null }), 'group'],
    ['a picture', text({ type: 'image', image: { id: '1' } }), 'type:image'],
    ['a reaction', text({ type: 'reaction' }), 'type:reaction'],
    ['a type from the future', text({ type: 'hologram' }), 'type:hologram'],
    ['no type', without('type'), 'type:unknown'],
    ['a type that is no word', text({ type: 'call 12025550101' }), 'type:unknown'],
    ['a text without a body', text({ text: {} }), 'unreadable_text'],
    ['a text whose body is an object', text({ text: { body: { $gt: '' } } }), 'unreadable_text'],
    ['a text that is a list', text({ text: ['Hello'] }), 'unreadable_text'],
  ])('%s', (_, message, why) => {
    expect(parsed([message])).toEqual({ messages: [], ignored: [why] });
  });

  it.each<[string, JsonObject]>([
    ['no metadata', { metadata: null }],
    ['no number', { metadata: {} }],
    ['an empty number', { metadata: { phone_number_id: '' } }],
    ['a number of another deployment', { metadata: { phone_number_id: '200000000000009' } }],
  ])('a change for %s', (_, value) => {
    expect(parsed([text()], value)).toEqual({ messages: [], ignored: ['unknown_number'] });
  });

  it.each<[string, JsonValue]>([
    ['history', 'field:history'],
    ['smb_message_echoes', 'field:smb_message_echoes'],
    ['smb_app_state_sync', 'field:smb_app_state_sync'],
    ['a field that holds 12025550101', 'field:unknown'],
  ])('whatever is not of the field messages, even with messages in it: %s', (field, why) => {
    expect(parsed([text()], {}, { field })).toEqual({ messages: [], ignored: [why] });
  });

  it.each<JsonValue>([null, 7, ['messages'], { messages: true }])('a field that is %j', (field) => {
    expect(parsed([text()], {}, { field })).toEqual({ messages: [], ignored: ['field:unknown'] });
  });

  it.each<JsonObject>([
    {},
    { object: 'page' },
    { object: 'WhatsApp_Business_Account' },
    { object: null },
  ])('a body of another product: %j', (some) => {
    const { object: _, ...rest } = bodyOf([text()]);
    expect(parseWebhook({ ...rest, ...some }, ours)).toEqual({
      messages: [],
      ignored: ['other_object'],
    });
  });
});

describe('what holds nothing', () => {
  it.each<JsonValue>([[], null, {}, 'text', 7])('messages: %j', (messages) => {
    expect(parsed(messages)).toEqual({ messages: [], ignored: [] });
  });

  it.each<JsonValue>([[], null, {}, 'text'])('entry: %j', (entry) => {
    expect(parseWebhook({ object: 'whatsapp_business_account', entry }, ours)).toEqual({
      messages: [],
      ignored: [],
    });
  });

  it.each<JsonValue>([[], null, {}])('changes: %j', (changes) => {
    expect(
      parseWebhook({ object: 'whatsapp_business_account', entry: [{ changes }] }, ours),
    ).toEqual({ messages: [], ignored: [] });
  });

  it.each<JsonValue>([null, [], 'x', {}])('statuses: %j', (statuses) => {
    expect(parsed([], { statuses })).toEqual({ messages: [], ignored: [] });
  });
});

describe('numbers', () => {
  it('are any where none is set', () => {
    expect(
      parseWebhook(bodyOf([text()], { metadata: { phone_number_id: '999' } }), []).messages,
    ).toMatchObject([{ account: '999' }]);
    expect(parseWebhook(bodyOf([text()], { metadata: {} }), []).messages).toEqual([]);
  });

  it("of a sender are not taken for the business's own where that is not said", () => {
    expect(
      parsed([{ ...without('from') }], { metadata: { phone_number_id: number } }).messages,
    ).toHaveLength(1);
  });
});

describe('the time of a message', () => {
  it.each<[string, JsonValue, Date | null]>([
    ['seconds since 1970', '1795176000', new Date('2026-11-20T12:00:00Z')],
    ['1970 itself', '0', new Date(0)],
    ['milliseconds', '1795176000000', null],
    ['before 1970', '-1795176000', null],
    ['a number', 1795176000, null],
    ['with a fraction', '1795176000.5', null],
    ['in words', 'yesterday', null],
    ['a date', '2026-11-20T12:00:00Z', null],
    ['empty', '', null],
    ['null', null, null],
    ['in other digits', '١٧٩٥١٧٦٠٠٠', null],
    ['beyond what a Date can say', '99999999999999999', null],
  ])('%s', (_, timestamp, sentAt) => {
    expect(parsed([text({ timestamp })]).messages).toMatchObject([{ sentAt }]);
  });

  it('is nothing where it is missing, and costs no message', () => {
    expect(parsed([without('timestamp')]).messages).toMatchObject([
      { content: 'Hello', sentAt: null },
    ]);
  });

  it('in the far future is left to the storage, which knows what time it is', () => {
    const [message] = parsed([text({ timestamp: '99999999999' })]).messages;
    expect(message?.sentAt?.getUTCFullYear()).toBe(5138);
  });
});

describe('the word for the log', () => {
  it('never holds what somebody wrote, nor a phone number', () => {
    const hostile = [
      text({ type: 'my number is 12025550101' }),
      text({ group_id: '12025550101' }),
      text({ id: 12025550101 }),
    ];
    const { ignored } = parsed(hostile, {});
    expect(ignored).toHaveLength(3);
    expect(ignored.join(' ')).not.toContain('12025550101');
  });
});
