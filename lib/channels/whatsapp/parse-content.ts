import { type JsonObject, type JsonValue, storableText } from '../../json.ts';
import { type Content, noted, said } from './content.ts';
import { errorCodes, id, name, number, object, objects, present, words } from './parse-fields.ts';
import { readInteractive } from './parse-interactive.ts';

/** Entries of a list that are kept. */
const MOST = 50;

type Reader = (content: JsonObject, kind: string) => Content | null;

/** By `type`. Each is given what stands under that name, and says null where it makes no sense. */
const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['text', ({ body }) => (typeof body === 'string' ? said('text', storableText(body)) : null)],
  ['image', readMedia],
  ['video', readMedia],
  ['audio', readMedia],
  ['document', readMedia],
  ['sticker', readMedia],
  ['location', readLocation],
  ['button', readButton],
  ['interactive', readInteractive],
  ['order', readOrder],
  ['reaction', (reaction) => refer('reaction', reaction['message_id'], reaction['emoji'])],
  ['edit', readEdit],
  ['revoke', (revoke) => refer('revoke', revoke['original_message_id'])],
  ['system', (system) => noted('system', { system: { type: name(system['type']) } })],
]);

/** What a message says, whatever it is. */
export function readContent(message: JsonObject): Content {
  const { type } = message;
  const kind = typeof type === 'string' ? type : '';
  const errors = errorCodes(message['errors']);
  const content = readKind(message, kind) ?? noted('unreadable', { type: name(kind) });
  if (errors.length > 0) content.metadata['errors'] = errors;
  return content;
}

function readKind(message: JsonObject, kind: string): Content | null {
  if (kind === 'contacts') return readCards(message['contacts']);
  if (kind === 'unsupported' || kind === 'unknown') {
    return noted('unsupported', { type: name(object(message['unsupported'])?.['type']) });
  }
  const reader = readers.get(kind);
  if (reader === undefined) return noted('unknown', { type: name(kind) });
  const content = object(message[kind]);
  return content === null ? null : reader(content, kind);
}

function readMedia(media: JsonObject, kind: string): Content | null {
  const mediaId = id(media['id']);
  if (mediaId === null) return null;
  const flags = Object.fromEntries(
    ['voice', 'animated'].flatMap((flag) =>
      typeof media[flag] === 'boolean' ? [[flag, media[flag]]] : [],
    ),
  );
  return said(kind, caption(media), {
    media: {
      ...present({
        id: mediaId,
        mime_type: words(media['mime_type'], 256),
        sha256: words(media['sha256'], 128),
        filename: words(media['filename'], 256),
      }),
      ...flags,
    },
  });
}

const caption = ({ caption: text }: JsonObject): string | null =>
  typeof text === 'string' ? storableText(text) : null;

function readLocation(location: JsonObject): Content | null {
  const latitude = number(location['latitude']);
  const longitude = number(location['longitude']);
  // 0 is a coordinate
  if (latitude === null || longitude === null) return null;
  const label = words(location['name']);
  const address = words(location['address']);
  const text = [label, address].filter((part) => part !== null).join(', ');
  return said('location', text, {
    location: {
      latitude,
      longitude,
      ...present({ name: label, address, url: words(location['url']) }),
    },
  });
}

/** The ids in a card are those of the person it is about, not of the sender. */
function readCards(value: JsonValue | undefined): Content | null {
  const cards = objects(value, MOST).map((card): JsonObject => ({
    ...present({
      name: words(object(card['name'])?.['formatted_name']),
      organization: words(object(card['org'])?.['company']),
    }),
    ...listed('phones', phonesOf(card['phones'])),
    ...listed('emails', each(card['emails'], 'email')),
    ...listed('urls', each(card['urls'], 'url')),
  }));
  if (cards.length === 0) return null;
  const names = cards.flatMap(({ name: known }) => (typeof known === 'string' ? [known] : []));
  return said('contacts', names.join(', '), { contacts: cards });
}

const listed = (key: string, list: JsonValue[]): JsonObject =>
  list.length === 0 ? {} : { [key]: list };

const each = (value: JsonValue | undefined, key: string): string[] =>
  objects(value, MOST).flatMap((entry) => words(entry[key]) ?? []);

const phonesOf = (value: JsonValue | undefined): JsonObject[] =>
  objects(value, MOST).map((phone) =>
    present({
      phone: words(phone['phone'], 64),
      wa_id: words(phone['wa_id'], 64),
      type: words(phone['type'], 64),
    }),
  );

/** A template's quick reply. */
function readButton(button: JsonObject): Content | null {
  const text = words(button['text']);
  const choice = present({ id: words(button['payload']) });
  return text === null && choice['id'] === undefined ? null : said('button', text, { choice });
}

function readOrder(order: JsonObject): Content | null {
  const items = objects(order['product_items'], MOST).map((item) =>
    present({
      product_retailer_id: words(item['product_retailer_id'], 256),
      quantity: number(item['quantity']),
      item_price: number(item['item_price']),
      currency: words(item['currency'], 64),
    }),
  );
  if (items.length === 0) return null;
  const catalog = present({ catalog_id: words(order['catalog_id'], 256) });
  return said('order', words(order['text'], 65_536), { order: { ...catalog, items } });
}

function readEdit(edit: JsonObject): Content | null {
  const message = object(edit['message']);
  const { type = null } = message ?? {};
  const edited = typeof type === 'string' ? object(message?.[type]) : null;
  return refer('edit', edit['original_message_id'], edited?.['body'] ?? edited?.['caption']);
}

/** Something that happened to an earlier message. */
function refer(kind: string, messageId: JsonValue | undefined, text?: JsonValue): Content | null {
  const of = id(messageId);
  return of === null
    ? null
    : noted(
        kind,
        { [kind]: { message_id: of } },
        typeof text === 'string' ? storableText(text) : '',
      );
}
