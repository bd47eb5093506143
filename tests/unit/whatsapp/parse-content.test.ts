import { describe, expect, it } from 'vitest';
import { whatsAppMetadata } from '../../../lib/channels/whatsapp/metadata.ts';
import type { JsonObject } from '../../../lib/json.ts';
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
