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
