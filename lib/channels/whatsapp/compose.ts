import type { JsonObject } from '../../json.ts';
import { richOf, type RichReply } from '../../replies.ts';
import type { OutgoingReply, Reply } from '../../storage/storage.ts';
import { splitText } from './split.ts';

// Bodies of POST /<phone number id>/messages.
// https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages

/** A long text in as many messages as it takes; what is quoted is quoted once, and of buttons nothing can be split. */
export function splitReply(reply: Reply): Reply[] {
  const rich = richOf(reply);
  if (rich.kind !== 'text') return [reply];
  const { reply: _, ...metadata } = reply.metadata;
  return splitText(reply.content).map((content, index) =>
    index === 0 ? { ...reply, content } : { ...reply, content, metadata },
  );
}

/**
 * The request that sends a reply; null where nobody knows how to reach the person. A phone number goes into `to`, a
 * business-scoped user id into `recipient`; the reply's id comes back with every status.
 */
export function toBody(reply: OutgoingReply): JsonObject | null {
  const { phone, user_id: userId } = reply.address;
  const person = phone !== undefined ? { to: phone } : { recipient: userId ?? '' };
  if (phone === undefined && userId === undefined) return null;
  const rich = richOf(reply);
  return {
    messaging_product: 'whatsapp',
    recipient_type: 'individual',
    ...person,
    ...contentOf(rich),
    ...('quote' in rich && rich.quote !== undefined && { context: { message_id: rich.quote } }),
    biz_opaque_callback_data: reply.id,
  };
}

/** Marks a message, and all before it, as read, and shows that somebody is typing: for 25 s, or until a reply comes. */
export const readBody = (messageId: string): JsonObject => ({
  messaging_product: 'whatsapp',
  status: 'read',
  message_id: messageId,
  typing_indicator: { type: 'text' },
});

function contentOf(rich: RichReply): JsonObject {
  switch (rich.kind) {
    case 'text':
      return { type: 'text', text: { body: rich.text, preview_url: false } };
    case 'buttons': {
      const buttons = rich.buttons.map((reply) => ({ type: 'reply', reply }));
      return interactive('button', rich, { buttons });
    }
    case 'list': {
      const sections = rich.sections.map(({ title, rows }) =>
        defined({ title, rows: rows.map(defined) }),
      );
      return interactive('list', rich, { button: rich.button, sections });
    }
    case 'link': {
      const parameters = { display_text: rich.title, url: rich.url };
      return interactive('cta_url', rich, { name: 'cta_url', parameters });
    }
    case 'template':
      return templateOf(rich);
    case 'document': {
      const { link, id, text: caption, filename } = rich;
      return { type: 'document', document: defined({ link, id, caption, filename }) };
    }
    case 'image':
    case 'video': {
      const { kind, link, id, text: caption } = rich;
      return { type: kind, [kind]: defined({ link, id, caption }) };
    }
    case 'audio':
    case 'sticker': {
      const { kind, link, id } = rich;
      return { type: kind, [kind]: defined({ link, id }) };
    }
  }
}

function interactive(
  type: string,
  {
    text,
    header,
    footer,
  }: { text: string; header?: string | undefined; footer?: string | undefined },
  action: JsonObject,
): JsonObject {
  return {
    type: 'interactive',
    interactive: {
      type,
      ...(header !== undefined && { header: { type: 'text', text: header } }),
      body: { text },
      ...(footer !== undefined && { footer: { text: footer } }),
      action,
    },
  };
}

function templateOf(template: Extract<RichReply, { kind: 'template' }>): JsonObject {
  const { name, language, parameters = [], components = [] } = template;
  const values: JsonObject[] = Array.isArray(parameters)
    ? parameters.map((text) => ({ type: 'text', text }))
    : Object.entries(parameters).map(([of, text]) => ({ type: 'text', parameter_name: of, text }));
  const body = values.length > 0 ? [{ type: 'body', parameters: values }] : [];
  const all = [...body, ...components];
  return {
    type: 'template',
    template: { name, language: { code: language }, ...(all.length > 0 && { components: all }) },
  };
}

/** Without the keys that are undefined: JSON would leave them out as well, but the type would not say so. */
const defined = (fields: { [key: string]: JsonObject[string] | undefined }): JsonObject =>
  Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as JsonObject;
