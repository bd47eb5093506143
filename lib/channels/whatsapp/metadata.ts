import * as z from 'zod/mini';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type { Message } from '../../storage/storage.ts';

// What stands in the metadata of a WhatsApp message, for agents and for readers of the history. All of it comes from
// a person's phone: data to look at, never to be trusted. Texts are cut at 1,024 characters, lists at 50 entries.

const text = z.optional(z.string());
const messageId = z.object({ message_id: z.string() });

const media = z.object({
  /** Good for seven days; `turn.media(message)` fetches it. */
  id: z.string(),
  mime_type: text,
  sha256: text,
  /** What the sender called it: never a path. */
  filename: text,
  /** Recorded in the chat, not a sound file. */
  voice: z.optional(z.boolean()),
  animated: z.optional(z.boolean()),
});

const contact = z.object({
  name: text,
  organization: text,
  phones: z.optional(z.array(z.object({ phone: text, wa_id: text, type: text }))),
  emails: z.optional(z.array(z.string())),
  urls: z.optional(z.array(z.string())),
});

/** Stands beside the kind where it applies. */
const common = {
  /** What the person calls themselves. */
  profile: z.optional(z.object({ name: text, username: text })),
  /** The message this one answers, by its `messageId`. `from` wrote it: digits of a phone number. */
  quoted: z.optional(z.object({ message_id: z.string(), from: text })),
  forwarded: z.optional(z.literal(true)),
  frequently_forwarded: z.optional(z.literal(true)),
  /** The catalog item that the person asks about. */
  product: z.optional(z.object({ catalog_id: text, product_retailer_id: text })),
  /** The advertisement that the person came from. */
  referral: z.optional(z.record(z.string(), z.string())),
  /** Meta's codes. */
  errors: z.optional(z.array(z.number())),
  /** The sender took it back. */
  deleted: z.optional(z.literal(true)),
};

const kind = <const Kind extends string, Shape extends z.core.$ZodShape>(
  name: Kind,
  shape: Shape,
) => z.object({ kind: z.literal(name), ...shape, ...common });

const choice = z.object({
  /** What the button or row was given when it was sent. People can tap old messages: check it. */
  id: text,
  description: text,
});

const schema = z.discriminatedUnion('kind', [
  kind('text', {}),
  // the caption is the message's content
  kind('image', { media }),
  kind('video', { media }),
  kind('audio', { media }),
  kind('document', { media }),
  kind('sticker', { media }),
  // name and address are the content
  kind('location', {
    location: z.object({
      latitude: z.number(),
      longitude: z.number(),
      name: text,
      address: text,
      url: text,
    }),
  }),
  // the names are the content
  kind('contacts', { contacts: z.array(contact) }),
  // a template's quick reply, a reply button, a row of a list: what it says is the content
  kind('button', { choice }),
  kind('button_reply', { choice }),
  kind('list_reply', { choice }),
  // what the person filled in; `raw` where it is no JSON object, or a very large one
  kind('flow_reply', {
    flow: z.object({ name: text, data: z.optional(z.custom<JsonObject>(isJsonObject)), raw: text }),
  }),
  kind('order', {
    order: z.object({
      catalog_id: text,
      items: z.array(
        z.object({
          product_retailer_id: text,
          quantity: z.optional(z.number()),
          item_price: z.optional(z.number()),
          currency: text,
        }),
      ),
    }),
  }),

  // From here on: in the history, and never a turn.

  // the emoji is the content; none: it was taken back
  kind('reaction', { reaction: messageId }),
  // the new text is the content
  kind('edit', { edit: messageId }),
  kind('revoke', { revoke: messageId }),
  // the person has another number or user id now
  kind('system', { system: z.object({ type: z.string() }) }),
  kind('call', {}),
  // what WhatsApp does not pass on, what is broken, and what came after this was written
  kind('unsupported', { type: z.string() }),
  kind('unreadable', { type: z.string() }),
  kind('unknown', { type: z.string() }),
]);

/** What came with a WhatsApp message beside its text. */
export type WhatsAppMetadata = z.output<typeof schema>;

/** What came with a message beside its text; null where it came over another channel, or is a reply. */
export function whatsAppMetadata({ metadata }: Pick<Message, 'metadata'>): WhatsAppMetadata | null {
  return schema.safeParse(metadata).data ?? null;
}
