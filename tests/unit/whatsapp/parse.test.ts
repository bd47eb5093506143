import { describe, expect, it } from 'vitest';
import { parseWebhook } from '../../../lib/channels/whatsapp/parse.ts';
import type { JsonObject, JsonValue } from '../../../lib/json.ts';
import { bodyOf, number, ours, parsed, text } from './values.ts';

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
          metadata: { kind: 'text' },
          sentAt: new Date('2026-11-20T12:00:00Z'),
          answerWithin: 86_400,
        },
      ],
      statuses: [],
      ignored: [],
      alerts: [],
    });
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
    expect(
      parseWebhook(body, { ...ours, phoneNumberIds: [number, other] }).messages.map(
        ({ account }) => account,
      ),
    ).toEqual([number, other]);
  });

  it('takes the messages and the statuses of one value', () => {
    const { messages, statuses, ignored } = parsed([text()], {
      statuses: [{ id: 'wamid.9', status: 'delivered' }],
    });
    expect(messages).toHaveLength(1);
    expect(statuses).toHaveLength(1);
    expect(ignored).toEqual([]);
  });

  it('loses none of its messages to a broken neighbour', () => {
    const broken: JsonValue[] = [
      null,
      'text',
      7,
      [],
      {},
      text({ id: 7 }),
      { ...without('from'), from_user_id: 8 },
    ];
    const { messages, ignored } = parsed([
      text({ id: 'wamid.first' }),
      ...broken,
      text({ id: 'wamid.last' }),
    ]);
    expect(messages.map(({ externalId }) => externalId)).toEqual(['wamid.first', 'wamid.last']);
    expect(ignored).toEqual([
      'broken_element',
      'broken_element',
      'broken_element',
      'broken_element',
      'no_message_id',
      'no_message_id',
      'no_sender',
    ]);
  });

  it('may be as large as a body may be', () => {
    const many = Array.from({ length: 150_000 }, (_, i) => ({ id: String(i), from: '1' }));
    expect(parsed(many, { statuses: many }).messages).toHaveLength(150_000);
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
  it.each<[string, JsonObject, string]>([
    ['of the message', text({ id: 2 ** 63 }), 'no_message_id'],
    ['of the sender', { ...without('from_user_id'), from: 12025550101 }, 'no_sender'],
  ])('has lost digits and leads to nobody: %s', (_, message, why) => {
    expect(parsed([message])).toMatchObject({ messages: [], ignored: [why] });
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
  ])('%s', (_, message, why) => {
    expect(parsed([message])).toMatchObject({ messages: [], ignored: [why] });
  });

  it.each<[string, JsonObject]>([
    ['no metadata', { metadata: null }],
    ['no number', { metadata: {} }],
    ['an empty number', { metadata: { phone_number_id: '' } }],
    ['a number that has lost digits', { metadata: { phone_number_id: 200000000000001 } }],
    ['a number of no sane length', { metadata: { phone_number_id: '9'.repeat(4_000) } }],
  ])('a change for %s', (_, value) => {
    expect(parsed([text()], value)).toMatchObject({
      messages: [],
      alerts: [{ kind: 'unknown_number' }],
    });
  });

  it('a change for a number of another deployment, statuses and all', () => {
    const metadata = { phone_number_id: '200000000000009' };
    const statuses = [{ id: 'wamid.9', status: 'sent' }];
    expect(parsed([text()], { metadata, statuses })).toEqual({
      messages: [],
      statuses: [],
      ignored: [],
      alerts: [{ kind: 'unknown_number', phone_number_id: '200000000000009' }],
    });
  });

  it.each<[string, JsonValue]>([
    ['history', 'field:history'],
    ['standby', 'field:standby'],
    ['smb_app_state_sync', 'field:smb_app_state_sync'],
    ['user_preferences', 'field:user_preferences'],
    ['message_template_status_update', 'field:message_template_status_update'],
    ['holographic_presence_update', 'field:holographic_presence_update'],
    ['constructor', 'field:constructor'],
    ['a field that holds 12025550101', 'field:unknown'],
  ])('whatever is of a field that is not read, even with messages in it: %s', (field, why) => {
    const read = parsed([text()], {}, { field });
    expect(read).toEqual({ messages: [], statuses: [], ignored: [why], alerts: [] });
  });

  it.each<JsonValue>([null, 7, ['messages'], { messages: true }])('a field that is %j', (field) => {
    const read = parsed([text()], {}, { field });
    expect(read).toMatchObject({ messages: [], ignored: ['field:unknown'] });
  });

  it.each(['smb_message_echoes', 'calls', 'user_id_update'])(
    'messages under another field that is read: %s',
    (field) => {
      expect(parsed([text()], {}, { field }).messages).toEqual([]);
    },
  );

  it.each<JsonObject>([
    {},
    { object: 'page' },
    { object: 'WhatsApp_Business_Account' },
    { object: null },
  ])('a body of another product: %j', (some) => {
    const { object: _, ...rest } = bodyOf([text()]);
    expect(parseWebhook({ ...rest, ...some }, ours)).toMatchObject({
      messages: [],
      ignored: ['other_object'],
    });
  });
});

describe('what somebody should look at', () => {
  it.each<[string, JsonObject, object]>([
    ['account_update', { event: 'ACCOUNT_VIOLATION' }, { what: 'ACCOUNT_VIOLATION' }],
    ['account_update', { event: 'call 12025550101' }, { what: 'unknown' }],
    ['phone_number_quality_update', { event: 'FLAGGED' }, { what: 'FLAGGED' }],
    ['security', {}, { what: 'unknown' }],
  ])('%s %j', (field, value, alert) => {
    const body = {
      object: 'whatsapp_business_account',
      entry: [{ changes: [{ field, value }] }],
    };
    const { ignored, alerts } = parseWebhook(body, ours);
    expect({ ignored, alerts }).toEqual({ ignored: [], alerts: [{ kind: field, ...alert }] });
  });

  it('errors that Meta tells without a message, by their codes', () => {
    const errors = [{ code: 130429, title: 'Rate limit hit' }, { code: 'x' }, null];
    expect(parsed(null, { errors }).alerts).toEqual([{ kind: 'errors', codes: [130429] }]);
  });
});

describe('what holds nothing', () => {
  const nothing = { messages: [], statuses: [], ignored: [], alerts: [] };

  it.each<JsonValue>([[], null, {}, 'text', 7])('messages: %j', (messages) => {
    expect(parsed(messages)).toEqual(nothing);
  });

  it.each<JsonValue>([[], null, {}, 'text'])('entry: %j', (entry) => {
    expect(parseWebhook({ object: 'whatsapp_business_account', entry }, ours)).toEqual(nothing);
  });

  it.each<JsonValue>([[], null, {}])('changes: %j', (changes) => {
    const body = { object: 'whatsapp_business_account', entry: [{ changes }] };
    expect(parseWebhook(body, ours)).toEqual(nothing);
  });

  it.each<JsonValue>([null, [], 'x', {}])('statuses: %j', (statuses) => {
    expect(parsed([], { statuses })).toEqual(nothing);
  });
});
