import * as z from 'zod/mini';
import { assertStorable, isJsonObject, type JsonObject, parseJson, storableText } from './json.ts';
import type { Message, Reply } from './storage/storage.ts';

// What an agent can say beside plain text, the same for every channel. A reply's text is the message's content; the
// rest stands in its metadata under `reply`, for the channel that sends it and for web pages that draw it:
//   {"content": "Which day?", "metadata": {"reply": {"kind": "buttons", "buttons": [{"id": "tue", "title": "Tuesday"}]}}}
// The limits are WhatsApp's, the narrowest of the channels, so that an agent meets them wherever it is tried out.
// https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages (pages of each kind)
// A character here is a UTF-16 unit: Meta does not say what it counts, and no reading counts more.

const text = (max: number) =>
  z.string('must be text').check(
    z.overwrite(storableText),
    z.refine((value) => value.trim() !== '', 'needs a text'),
    z.maxLength(max, `at most ${max} characters`),
  );
const list = <Item extends z.core.$ZodType>(item: Item, max: number) =>
  z
    .array(item, 'must be a list')
    .check(z.minLength(1, 'needs an entry'), z.maxLength(max, `at most ${max} entries`));
const unique = (items: readonly { id: string }[]) =>
  new Set(items.map(({ id }) => id)).size === items.length;
/** Comes back when it is tapped; a person can tap a message of last year. */
const id = (max: number) =>
  text(max).check(z.refine((value) => value === value.trim(), 'must not begin or end with spaces'));
const url = z
  .string('must be a URL')
  .check(
    z.refine(
      (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
      'must be a URL that starts with https:// or http://',
    ),
  );

const strict = <Shape extends z.core.$ZodShape>(shape: Shape) =>
  z.strictObject(shape, 'has a field that is not known here');

/** The `messageId` of the message that is quoted above it. */
const quote = z.optional(text(512));
/** What stands above and below the text. */
const frame = { header: z.optional(text(60)), footer: z.optional(text(60)), quote };
/** A file: at a public URL, or uploaded before, by its id. */
const file = { link: z.optional(url), id: z.optional(text(512)), quote };
const caption = z.optional(text(1_024));
const oneSource = z.refine<{ link?: string | undefined; id?: string | undefined }>(
  ({ link, id: known }) => (link === undefined) !== (known === undefined),
  'needs a link or an id, and not both',
);

const row = strict({ id: id(200), title: text(24), description: z.optional(text(72)) });
const section = strict({ title: z.optional(text(24)), rows: list(row, 10) });
const sections = list(section, 10).check(
  z.refine((all) => all.flatMap(({ rows }) => rows).length <= 10, 'at most 10 rows in all'),
  z.refine((all) => unique(all.flatMap(({ rows }) => rows)), 'each row needs an id of its own'),
  z.refine(
    (all) => all.length === 1 || all.every(({ title }) => title !== undefined),
    'needs titles where there is more than one section',
  ),
);

const button = strict({ id: id(256), title: text(20) });
const buttons = list(button, 3).check(
  z.refine(unique, 'each button needs an id of its own'),
  z.refine(
    (all) => new Set(all.map(({ title }) => title)).size === all.length,
    'each button needs a title of its own',
  ),
);

const schema = z.discriminatedUnion(
  'kind',
  [
    // of any length: a channel that allows less sends it in parts
    strict({ kind: z.literal('text'), text: text(Infinity), quote }),
    /** Up to three answers to tap. */
    strict({ kind: z.literal('buttons'), text: text(1_024), buttons, ...frame }),
    /** Up to ten rows behind a button of their own. */
    strict({ kind: z.literal('list'), text: text(4_096), button: text(20), sections, ...frame }),
    /** A button that opens a page. */
    strict({ kind: z.literal('link'), text: text(1_024), title: text(20), url, ...frame }),
    strict({ kind: z.literal('image'), text: caption, ...file }).check(oneSource),
    strict({ kind: z.literal('video'), text: caption, ...file }).check(oneSource),
    strict({ kind: z.literal('audio'), ...file }).check(oneSource),
    strict({
      kind: z.literal('document'),
      text: caption,
      filename: z.optional(text(240)),
      ...file,
    }).check(oneSource),
    strict({ kind: z.literal('sticker'), ...file }).check(oneSource),
    /** A text that Meta has approved: the one kind that reaches a person who has not written for 24 hours. */
    strict({
      kind: z.literal('template'),
      name: text(512),
      /** As it was approved: `en`, `en_US`, `pt_BR`. */
      language: text(16),
      /** Of its body: in their order, or by their names. */
      parameters: z.optional(
        z.union([z.array(z.string()), z.record(z.string(), z.string())], 'must be texts'),
      ),
      /** Of its header and buttons, as the Cloud API takes them. */
      components: z.optional(z.array(z.custom<JsonObject>(isJsonObject, 'must be an object'))),
      /** What it says, for the history; it is not sent. */
      text: z.optional(text(4_096)),
    }),
  ],
  'must be text, buttons, list, link, image, video, audio, document, sticker or template',
);

export type RichReply = z.output<typeof schema>;

/** An agent's reply is more than a channel takes. `code` says what and where; it holds nothing of the reply itself. */
export class InvalidReply extends Error {
  override readonly name = 'InvalidReply';
  readonly code: string;

  constructor(code: string) {
    super(`this reply cannot be sent: ${code}`);
    this.code = code;
  }
}

/**
 * A reply as it is stored and sent.
 *
 * @throws {InvalidReply} for what WhatsApp would refuse, or cut
 * @throws {BatonError} `unstorable_text` for what PostgreSQL cannot store, outside of the text
 */
export function toReply(
  said: string | RichReply,
  metadata: JsonObject,
  agent: string | null,
): Reply {
  if (Object.hasOwn(metadata, 'reply')) throw new InvalidReply('metadata.reply: is taken');
  const parsed = schema.safeParse(typeof said === 'string' ? { kind: 'text', text: said } : said);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InvalidReply(`${(issue?.path ?? []).join('.') || 'reply'}: ${issue?.message}`);
  }
  const { text: content = '', ...rest } = { text: undefined, ...parsed.data };
  const isPlain = rest.kind === 'text' && rest.quote === undefined;
  // as JSON says it: a key that is undefined is not mentioned
  const reply = parseJson(JSON.stringify(rest)) as JsonObject;
  const document = isPlain ? metadata : { ...metadata, reply };
  assertStorable(document, 'metadata');
  return { content, metadata: document, agent };
}

/** A stored reply as the agent gave it; plain text where the metadata says nothing that can be read. */
export function richOf({ content, metadata }: Pick<Message, 'content' | 'metadata'>): RichReply {
  const { reply } = metadata;
  const whole = isJsonObject(reply) && content !== '' ? { ...reply, text: content } : reply;
  return schema.safeParse(whole).data ?? { kind: 'text', text: content };
}
