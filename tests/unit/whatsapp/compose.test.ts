import { describe, expect, it } from 'vitest';
import { readBody, toBody } from '../../../lib/channels/whatsapp/compose.ts';
import { type RichReply, toReply } from '../../../lib/replies.ts';
import type { OutgoingReply } from '../../../lib/storage/storage.ts';
import { noon } from '../../support/turns.ts';

/** A reply as it comes back from the storage. */
const stored = (
  said: string | RichReply,
  address: Record<string, string> = { phone: '1202' },
): OutgoingReply => ({
  ...toReply(said, { mood: 'good' }, 'manager'),
  id: '77',
  messageId: null,
  role: 'assistant',
  sentAt: noon,
  createdAt: noon,
  attempts: 1,
  address,
  inWindow: true,
});

const envelope = {
  messaging_product: 'whatsapp',
  recipient_type: 'individual',
  to: '1202',
  biz_opaque_callback_data: '77',
};

describe('who it goes to', () => {
  it('is the phone number, where there is one', () => {
    const body = toBody(stored('Hi', { phone: '12025550101', user_id: 'US.101' }));
    expect(body).toMatchObject({ to: '12025550101' });
    expect(body).not.toHaveProperty('recipient');
  });

  it('is the business-scoped id else', () => {
    const body = toBody(stored('Hi', { user_id: 'US.104' }));
    expect(body).toMatchObject({ recipient: 'US.104' });
    expect(body).not.toHaveProperty('to');
  });

  it('is nobody where neither is known', () => {
    expect(toBody(stored('Hi', {}))).toBeNull();
  });
});

describe('what it says, in the Cloud API’s words', () => {
  it.each<[string, string | RichReply, object]>([
    ['a text', 'Hi', { type: 'text', text: { body: 'Hi', preview_url: false } }],
    [
      'a quoted text',
      { kind: 'text', text: 'Hi', quote: 'wamid.1' },
      {
        type: 'text',
        text: { body: 'Hi', preview_url: false },
        context: { message_id: 'wamid.1' },
      },
    ],
    [
      'buttons',
      {
        kind: 'buttons',
        text: 'Which?',
        buttons: [{ id: 'a', title: 'A' }],
        header: 'H',
        footer: 'F',
      },
      {
        type: 'interactive',
        interactive: {
          type: 'button',
          header: { type: 'text', text: 'H' },
          body: { text: 'Which?' },
          footer: { text: 'F' },
          action: { buttons: [{ type: 'reply', reply: { id: 'a', title: 'A' } }] },
        },
      },
    ],
    [
      'a list',
      {
        kind: 'list',
        text: 'Which?',
        button: 'Choose',
        sections: [
          { title: 'S', rows: [{ id: 'a', title: 'A', description: 'first' }] },
          { title: 'T', rows: [{ id: 'b', title: 'B', description: undefined }] },
        ],
      },
      {
        type: 'interactive',
        interactive: {
          type: 'list',
          body: { text: 'Which?' },
          action: {
            button: 'Choose',
            sections: [
              { title: 'S', rows: [{ id: 'a', title: 'A', description: 'first' }] },
              { title: 'T', rows: [{ id: 'b', title: 'B' }] },
            ],
          },
        },
      },
    ],
    [
      'a link',
      { kind: 'link', text: 'See', title: 'Open', url: 'https://example.com/?a=1&b' },
      {
        type: 'interactive',
        interactive: {
          type: 'cta_url',
          body: { text: 'See' },
          action: {
            name: 'cta_url',
            parameters: { display_text: 'Open', url: 'https://example.com/?a=1&b' },
          },
        },
      },
    ],
    [
      'a picture',
      { kind: 'image', link: 'https://example.com/a.jpg', text: 'Shop' },
      { type: 'image', image: { link: 'https://example.com/a.jpg', caption: 'Shop' } },
    ],
    ['a film', { kind: 'video', id: '12' }, { type: 'video', video: { id: '12' } }],
    ['a sound', { kind: 'audio', id: '12' }, { type: 'audio', audio: { id: '12' } }],
    ['a sticker', { kind: 'sticker', id: '12' }, { type: 'sticker', sticker: { id: '12' } }],
    [
      'a document',
      { kind: 'document', id: '12', filename: 'bill.pdf', text: 'Your bill' },
      { type: 'document', document: { id: '12', filename: 'bill.pdf', caption: 'Your bill' } },
    ],
    [
      'a template',
      { kind: 'template', name: 'hello_world', language: 'en_US', text: 'Hello World' },
      { type: 'template', template: { name: 'hello_world', language: { code: 'en_US' } } },
    ],
    [
      'a template with values in their order, and more',
      {
        kind: 'template',
        name: 'order',
        language: 'es',
        parameters: ['Ana', '77'],
        components: [{ type: 'header', parameters: [{ type: 'image', image: { id: '12' } }] }],
      },
      {
        type: 'template',
        template: {
          name: 'order',
          language: { code: 'es' },
          components: [
            {
              type: 'body',
              parameters: [
                { type: 'text', text: 'Ana' },
                { type: 'text', text: '77' },
              ],
            },
            { type: 'header', parameters: [{ type: 'image', image: { id: '12' } }] },
          ],
        },
      },
    ],
    [
      'a template with values by name',
      { kind: 'template', name: 'order', language: 'es', parameters: { customer: 'Ana' } },
      {
        type: 'template',
        template: {
          name: 'order',
          language: { code: 'es' },
          components: [
            {
              type: 'body',
              parameters: [{ type: 'text', parameter_name: 'customer', text: 'Ana' }],
            },
          ],
        },
      },
    ],
  ])('%s', (_, said, body) => {
    // strictly: a key that is undefined would be no part of the JSON, and is none of the body
    expect(toBody(stored(said))).toStrictEqual({ ...envelope, ...body });
  });

  it('that somebody is typing', () => {
    expect(readBody('wamid.1')).toEqual({
      messaging_product: 'whatsapp',
      status: 'read',
      message_id: 'wamid.1',
      typing_indicator: { type: 'text' },
    });
  });
});
