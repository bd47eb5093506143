import { describe, expect, it } from 'vitest';
import { whatsAppMetadata } from '../../../lib/channels/whatsapp/metadata.ts';
import type { JsonObject, JsonValue } from '../../../lib/json.ts';
import { ofKind, only, parsed, text } from './values.ts';

/** What an agent sees of a message, its metadata checked against the documented shape. */
function read(message: JsonObject) {
  const { content, metadata, turn } = only(parsed([message]));
  expect(whatsAppMetadata({ metadata })).toEqual(metadata);
  return { content, metadata, turn: turn ?? true };
}

const media = {
  id: '300000000000001',
  mime_type: 'image/jpeg',
  sha256: 'abc=',
  url: 'https://lookaside.fbsbx.com/?hash=secret',
};
const kept = { id: '300000000000001', mime_type: 'image/jpeg', sha256: 'abc=' };

describe('what an agent answers', () => {
  it.each<[string, JsonObject, string, JsonObject]>([
    ['a text', text(), 'Hello', { kind: 'text' }],
    ['an empty text', text({ text: { body: '' } }), '', { kind: 'text' }],
    [
      'a picture with a caption',
      ofKind('image', { ...media, caption: 'this one' }),
      'this one',
      { kind: 'image', media: kept },
    ],
    ['a picture without', ofKind('image', media), '', { kind: 'image', media: kept }],
    [
      'a video',
      ofKind('video', { ...media, caption: 'look' }),
      'look',
      { kind: 'video', media: kept },
    ],
    [
      'a voice note',
      ofKind('audio', { ...media, voice: true }),
      '',
      { kind: 'audio', media: { ...kept, voice: true } },
    ],
    [
      'a sound file',
      ofKind('audio', { ...media, voice: false }),
      '',
      { kind: 'audio', media: { ...kept, voice: false } },
    ],
    [
      'a document, its name as it is',
      ofKind('document', { ...media, caption: 'my receipt', filename: '../../a "b".pdf' }),
      'my receipt',
      { kind: 'document', media: { ...kept, filename: '../../a "b".pdf' } },
    ],
    [
      'a sticker',
      ofKind('sticker', { ...media, animated: false }),
      '',
      { kind: 'sticker', media: { ...kept, animated: false } },
    ],
    [
      'a place',
      ofKind('location', { latitude: 48.2, longitude: 16.37, name: 'Café', address: 'Ring 1' }),
      'Café, Ring 1',
      {
        kind: 'location',
        location: { latitude: 48.2, longitude: 16.37, name: 'Café', address: 'Ring 1' },
      },
    ],
    [
      'a place at 0, 0',
      ofKind('location', { latitude: 0, longitude: 0 }),
      '',
      { kind: 'location', location: { latitude: 0, longitude: 0 } },
    ],
    [
      'a place in strings',
      ofKind('location', { latitude: '-33.5', longitude: '0' }),
      '',
      { kind: 'location', location: { latitude: -33.5, longitude: 0 } },
    ],
    [
      'cards of others',
      ofKind('contacts', [
        {
          name: { formatted_name: 'Barbara', first_name: 'B' },
          org: { company: 'Example Co' },
          phones: [{ phone: '+1 202', wa_id: '1202', type: 'MOBILE' }, 7],
          emails: [{ email: 'b@example.com', type: 'WORK' }],
          urls: [{ url: 'https://example.com' }],
        },
        { name: { formatted_name: 'No Phone' } },
        null,
      ]),
      'Barbara, No Phone',
      {
        kind: 'contacts',
        contacts: [
          {
            name: 'Barbara',
            organization: 'Example Co',
            phones: [{ phone: '+1 202', wa_id: '1202', type: 'MOBILE' }],
            emails: ['b@example.com'],
            urls: ['https://example.com'],
          },
          { name: 'No Phone' },
        ],
      },
    ],
    [
      "a template's button",
      ofKind('button', { payload: 'CONFIRM_42', text: 'Confirm' }),
      'Confirm',
      { kind: 'button', choice: { id: 'CONFIRM_42' } },
    ],
    [
      'a reply button',
      ofKind('interactive', {
        type: 'button_reply',
        button_reply: { id: 'agent:billing', title: 'Billing' },
      }),
      'Billing',
      { kind: 'button_reply', choice: { id: 'agent:billing' } },
    ],
    [
      'a row of a list',
      ofKind('interactive', {
        type: 'list_reply',
        list_reply: { id: 'express', title: 'Express', description: 'Next day' },
      }),
      'Express',
      { kind: 'list_reply', choice: { id: 'express', description: 'Next day' } },
    ],
    [
      'a filled-in form',
      ofKind('interactive', {
        type: 'nfm_reply',
        nfm_reply: {
          name: 'flow',
          body: 'Sent',
          response_json: '{"rating":"4","a":{"b":[1,null]}}',
        },
      }),
      'Sent',
      { kind: 'flow_reply', flow: { name: 'flow', data: { rating: '4', a: { b: [1, null] } } } },
    ],
    [
      'an order',
      ofKind('order', {
        catalog_id: '123',
        text: 'please hurry',
        product_items: [
          { product_retailer_id: 'a', quantity: '2', item_price: 9.5, currency: 'EUR' },
          { product_retailer_id: 'b', quantity: 1, item_price: 'free' },
        ],
      }),
      'please hurry',
      {
        kind: 'order',
        order: {
          catalog_id: '123',
          items: [
            { product_retailer_id: 'a', quantity: 2, item_price: 9.5, currency: 'EUR' },
            { product_retailer_id: 'b', quantity: 1 },
          ],
        },
      },
    ],
  ])('%s', (_, message, content, metadata) => {
    expect(read(message)).toEqual({ content, metadata, turn: true });
  });

  it.each(['{"flow_token":', '[1]', '"text"', `{"a":${'['.repeat(30)}${']'.repeat(30)}}`])(
    'a form that cannot be read as it is: %s',
    (raw) => {
      const reply = { type: 'nfm_reply', nfm_reply: { response_json: raw, body: 'Sent' } };
      expect(read(ofKind('interactive', reply))).toEqual({
        content: 'Sent',
        metadata: { kind: 'flow_reply', flow: { raw } },
        turn: true,
      });
    },
  );

  it('a form too large to be looked into, cut', () => {
    const raw = JSON.stringify({ text: 'x'.repeat(70_000) });
    const { metadata } = read(
      ofKind('interactive', { type: 'nfm_reply', nfm_reply: { response_json: raw } }),
    );
    expect(metadata['flow']).toEqual({ raw: raw.slice(0, 65_536) });
  });

  it('a form whose texts cannot be stored, cleaned, keys and all', () => {
    const raw = '{"a\\u0000":"b\\ud83d","__proto__":{"c":1}}';
    const { metadata } = read(
      ofKind('interactive', { type: 'nfm_reply', nfm_reply: { response_json: raw } }),
    );
    expect(JSON.stringify(metadata['flow'])).toBe('{"data":{"a":"b\ufffd","__proto__":{"c":1}}}');
  });

  it('a text that only looks like a tapped button is a text', () => {
    expect(read(text({ text: { body: 'agent:billing' } })).metadata).toEqual({ kind: 'text' });
  });
});

describe('what only enters the history', () => {
  it.each<[string, JsonObject, string, JsonObject]>([
    [
      'a reaction',
      ofKind('reaction', { message_id: 'wamid.0', emoji: '👍' }),
      '👍',
      { kind: 'reaction', reaction: { message_id: 'wamid.0' } },
    ],
    [
      'a reaction taken back',
      ofKind('reaction', { message_id: 'wamid.0' }),
      '',
      { kind: 'reaction', reaction: { message_id: 'wamid.0' } },
    ],
    [
      'the same in an older shape',
      ofKind('reaction', { message_id: 'wamid.0', emoji: '' }),
      '',
      { kind: 'reaction', reaction: { message_id: 'wamid.0' } },
    ],
    [
      'an edit',
      ofKind('edit', {
        original_message_id: 'wamid.0',
        message: { type: 'text', text: { body: 'now this' } },
      }),
      'now this',
      { kind: 'edit', edit: { message_id: 'wamid.0' } },
    ],
    [
      'an edited caption',
      ofKind('edit', {
        original_message_id: 'wamid.0',
        message: { type: 'image', image: { caption: 'now this', id: '1' } },
      }),
      'now this',
      { kind: 'edit', edit: { message_id: 'wamid.0' } },
    ],
    [
      'a deletion',
      ofKind('revoke', { original_message_id: 'wamid.0' }),
      '',
      { kind: 'revoke', revoke: { message_id: 'wamid.0' } },
    ],
    [
      'news of Meta',
      ofKind('system', { body: 'Ana changed from 1 to 2', type: 'user_identity_changed' }),
      '',
      { kind: 'system', system: { type: 'user_identity_changed' } },
    ],
    [
      'what WhatsApp does not pass on',
      ofKind('unsupported', { type: 'poll_creation' }, { errors: [{ code: 131051 }] }),
      '',
      { kind: 'unsupported', type: 'poll_creation', errors: [131051] },
    ],
    [
      'the same without a word of what it was',
      ofKind('unsupported', null, { errors: [{ code: 131060 }] }),
      '',
      { kind: 'unsupported', type: 'unknown', errors: [131060] },
    ],
    [
      'the same by its older name',
      ofKind('unknown', null, { errors: [{ code: 131051 }, { code: 'x' }, null] }),
      '',
      { kind: 'unsupported', type: 'unknown', errors: [131051] },
    ],
    [
      'a kind from the future',
      ofKind('hologram', { id: '1', caption: 'hi' }),
      '',
      { kind: 'unknown', type: 'hologram' },
    ],
    [
      'an answer from the future',
      ofKind('interactive', { type: 'carousel_reply', carousel_reply: { id: 'x' } }),
      '',
      { kind: 'unknown', type: 'interactive.carousel_reply' },
    ],
    ['no kind at all', { ...text(), type: null }, '', { kind: 'unknown', type: 'unknown' }],
    ['a kind that is no word', ofKind('call 1202', {}), '', { kind: 'unknown', type: 'unknown' }],
    [
      'a kind every object has',
      ofKind('constructor', {}),
      '',
      { kind: 'unknown', type: 'constructor' },
    ],
  ])('%s', (_, message, content, metadata) => {
    expect(read(message)).toEqual({ content, metadata, turn: false });
  });

  it.each<[string, JsonValue]>([
    ['text', null],
    ['text', {}],
    ['text', ['Hello']],
    ['text', { body: 7 }],
    ['text', { body: { $ne: null } }],
    ['image', null],
    ['image', { caption: 'no id' }],
    ['image', { id: 7 }],
    ['location', { latitude: 1 }],
    ['location', { latitude: null, longitude: 'x' }],
    ['contacts', {}],
    ['contacts', [null]],
    ['button', {}],
    ['interactive', null],
    ['interactive', { type: 'button_reply' }],
    ['interactive', { type: 'button_reply', button_reply: {} }],
    ['interactive', { type: 'nfm_reply', nfm_reply: { response_json: { a: 1 } } }],
    ['order', { product_items: [] }],
    ['reaction', { emoji: '👍' }],
    ['revoke', { original_message_id: 7 }],
    ['edit', { message: { type: 'text', text: { body: 'x' } } }],
    ['system', 'x'],
  ])('a broken %s: %j', (type, content) => {
    expect(read(ofKind(type, content))).toEqual({
      content: '',
      metadata: { kind: 'unreadable', type },
      turn: false,
    });
  });

  it('an edit of an edit of an edit, however often', () => {
    let message: JsonObject = { type: 'text', text: { body: 'x' } };
    for (let i = 0; i < 20_000; i++) message = { type: 'edit', edit: { message } };
    const edit = { original_message_id: 'wamid.0', message };
    expect(read(ofKind('edit', edit)).metadata['kind']).toBe('edit');
  });
});

describe('a deletion', () => {
  it('names the message it takes back', () => {
    const message = ofKind('revoke', { original_message_id: 'wamid.0' });
    expect(only(parsed([message])).revokes).toBe('wamid.0');
    expect(only(parsed([text()]))).not.toHaveProperty('revokes');
  });
});

describe('beside the content', () => {
  const beside = (some: JsonObject) => {
    const { kind: _, ...rest } = read(text(some)).metadata;
    return rest;
  };

  it.each<[string, JsonObject, JsonObject]>([
    [
      'the message it answers',
      { context: { from: '12025550199', id: 'wamid.0' } },
      { quoted: { message_id: 'wamid.0', from: '12025550199' } },
    ],
    ['without its sender', { context: { id: 'wamid.0' } }, { quoted: { message_id: 'wamid.0' } }],
    ['that it was forwarded', { context: { forwarded: true } }, { forwarded: true }],
    [
      'that it was often forwarded',
      { context: { frequently_forwarded: true, forwarded: false } },
      { frequently_forwarded: true },
    ],
    [
      'the product that is asked about',
      {
        context: {
          from: '1',
          id: 'w',
          referred_product: { catalog_id: 'c', product_retailer_id: 'p' },
        },
      },
      {
        quoted: { message_id: 'w', from: '1' },
        product: { catalog_id: 'c', product_retailer_id: 'p' },
      },
    ],
    [
      'the advertisement it came from',
      {
        referral: {
          source_url: 'https://fb.me/x',
          source_type: 'ad',
          headline: 'Sale',
          ctwa_clid: 'abc',
          media_type: 7,
          later: 'unknown',
        },
      },
      {
        referral: {
          source_url: 'https://fb.me/x',
          source_type: 'ad',
          headline: 'Sale',
          ctwa_clid: 'abc',
        },
      },
    ],
    ['nothing of what is broken', { context: 'x', referral: ['y'] }, {}],
    ['nothing of what is empty', { context: {}, referral: {} }, {}],
  ])('%s', (_, some, metadata) => {
    expect(beside(some)).toEqual(metadata);
  });
});

describe('every text that is kept', () => {
  it('can be stored, and is cut without halving a character', () => {
    const long = `\u0000${'x'.repeat(1_023)}😀`;
    const { metadata } = read(
      ofKind('location', { latitude: 1, longitude: 2, name: long, url: '\ud83d' }),
    );
    expect(metadata['location']).toMatchObject({ name: 'x'.repeat(1_023), url: '\ufffd' });
  });

  it.each([
    ['contacts', Array.from({ length: 90 }, () => ({ name: { formatted_name: 'x' } })), 'contacts'],
    ['order', { product_items: Array.from({ length: 90 }, () => ({ quantity: 1 })) }, 'order'],
  ])('stands in a list of at most fifty: %s', (type, content, key) => {
    const kept = read(ofKind(type, content)).metadata[key];
    expect(Array.isArray(kept) ? kept : (kept as JsonObject)['items']).toHaveLength(50);
  });
});
