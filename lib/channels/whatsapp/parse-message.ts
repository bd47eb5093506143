import type { JsonObject } from '../../json.ts';
import type { Identity, IncomingMessage } from '../../storage/storage.ts';
import type { Content } from './content.ts';
import { readContent } from './parse-content.ts';
import { id, object, someOf, time, words } from './parse-fields.ts';
import { type Contacts, identityOf } from './parse-sender.ts';

/** The channel's name in rows and logs. */
export const WHATSAPP = 'whatsapp';

/** Seconds in which a business may answer freely: Meta's customer service window. */
const WINDOW = 86_400;

/** Kinds that only concern an earlier message. */
const LATER: ReadonlySet<unknown> = new Set(['edit', 'revoke', 'reaction']);

/** What the elements of one value have in common. */
export interface Place {
  /** The phone number id of the business. */
  account: string;
  /** Its number, folded. */
  own: string | null;
  contacts: Contacts;
  /** Whether the value holds a single element, so that a single contact must be its sender. */
  alone: boolean;
  /** Seconds a person who answers from the business's own app holds the conversation. */
  humanTtl: number;
}

/** What an element of a value comes to; a word for the log where it is nothing to keep. */
export type Reader = (element: JsonObject, place: Place) => IncomingMessage | string;

/** A message that somebody sent. */
export const readMessage: Reader = (message, place) => {
  const change = message['type'] === 'system' ? readChange(message) : null;
  const sender =
    change?.sender ??
    identityOf(message['from'], message['from_user_id']) ??
    (place.alone ? place.contacts.only : null);
  const read = toIncoming(message, sender, place, readContent(message));
  return typeof read === 'string' ? read : { ...read, ...becoming(change?.becomes ?? null) };
};

/**
 * A message that a person sent from the business's own app: it holds the conversation for them. What only concerns
 * an earlier message of theirs does not.
 */
export const readEcho: Reader = (echo, place) => {
  const to =
    identityOf(echo['to'], echo['to_user_id']) ?? (place.alone ? place.contacts.only : null);
  const content = readContent(echo);
  const read = toIncoming(echo, to, place, content);
  if (typeof read === 'string') return read;
  const { turn: _, ...message } = read;
  const ttlSeconds = LATER.has(content.metadata['kind']) ? null : place.humanTtl;
  return { ...message, byHuman: { ttlSeconds } };
};

/** A person's call opens the window for answers as a message does. */
export const readCall: Reader = (call, place) => {
  if (call['direction'] !== 'USER_INITIATED') return 'call_of_ours';
  const sender = identityOf(call['from'], call['from_user_id']);
  return toIncoming(call, sender, place, { text: '', metadata: { kind: 'call' }, turn: false });
};

/** A field of its own, now gone, that told of new user ids. It has no message id: the pair of ids is one. */
export const readUserIdUpdate: Reader = (update, place) => {
  const ids = object(update['user_id']);
  const previous = id(ids?.['previous']);
  const current = id(ids?.['current']);
  if (previous === null || current === null) return 'no_user_ids';
  const phone = place.alone ? (place.contacts.only?.phone ?? undefined) : undefined;
  const read = toIncoming(
    { id: `user_id_update:${previous}:${current}`, timestamp: update['timestamp'] ?? null },
    identityOf(phone, previous),
    place,
    { text: '', metadata: { kind: 'system', system: { type: 'user_id_update' } }, turn: false },
  );
  return typeof read === 'string'
    ? read
    : { ...read, ...becoming(identityOf(update['wa_id'], current)) };
};

function toIncoming(
  message: JsonObject,
  sender: Identity | null,
  { account, own, contacts }: Place,
  { text, metadata, turn }: Content,
): IncomingMessage | string {
  const externalId = id(message['id']);
  if (externalId === null) return 'no_message_id';
  // an answer to a group's message would go to the person alone
  if (message['group_id'] !== undefined) return 'group';
  if (sender === null) return 'no_sender';
  // two bots, or one with itself, would talk for ever
  if (sender.phone !== null && sender.phone === own) return 'own_message';
  const revoked = metadata['kind'] === 'revoke' ? object(metadata['revoke']) : null;
  return {
    sender,
    channel: WHATSAPP,
    account,
    externalId,
    content: text,
    metadata: { ...metadata, ...readSurroundings(message), ...profileOf(contacts, sender) },
    sentAt: time(message['timestamp']),
    answerWithin: WINDOW,
    ...(!turn && { turn: false as const }),
    ...(typeof revoked?.['message_id'] === 'string' && { revokes: revoked['message_id'] }),
  };
}

function profileOf(contacts: Contacts, sender: Identity): JsonObject {
  const profile = contacts.profileOf(sender);
  return profile === null ? {} : { profile };
}

const REFERRAL = [
  'source_url',
  'source_id',
  'source_type',
  'headline',
  'body',
  'media_type',
  'image_url',
  'video_url',
  'thumbnail_url',
  'ctwa_clid',
];

/** What a message answers, where it was forwarded from, which advertisement or product it is about. */
function readSurroundings(message: JsonObject): JsonObject {
  const context = object(message['context']);
  const item = object(context?.['referred_product']);
  const from = object(message['referral']);
  const quoted = id(context?.['id']);
  const product = someOf({
    catalog_id: words(item?.['catalog_id'], 256),
    product_retailer_id: words(item?.['product_retailer_id'], 256),
  });
  const referral = someOf(Object.fromEntries(REFERRAL.map((key) => [key, words(from?.[key])])));
  return {
    ...(quoted !== null && {
      quoted: { message_id: quoted, ...someOf({ from: words(context?.['from'], 64) }) },
    }),
    ...(context?.['forwarded'] === true && { forwarded: true }),
    ...(context?.['frequently_forwarded'] === true && { frequently_forwarded: true }),
    ...(product !== null && { product }),
    ...(referral !== null && { referral }),
  };
}

const becoming = (now: Identity | null): Pick<IncomingMessage, 'becomes'> =>
  now === null ? {} : { becomes: { phone: now.phone, userId: now.userId } };

interface Change {
  sender: Identity | null;
  becomes: Identity | null;
}

/**
 * A person's number or user id has changed: who they were, and who they are now. Names of several versions of the
 * API: `customer` and `new_wa_id` up to v11, `wa_id` from v12, user ids since 2026.
 */
function readChange(message: JsonObject): Change | null {
  const system = object(message['system']);
  if (system === null) return null;
  const { type } = system;
  const told = identityOf(system['wa_id'] ?? system['new_wa_id'], system['user_id']);
  const previous = id(system['previous_user_id']);
  const isChange =
    previous !== null || (typeof type === 'string' && /_changed_(number|user_id)$/.test(type));
  return {
    sender: identityOf(message['from'] ?? system['customer'], previous ?? message['from_user_id']),
    becomes: isChange ? told : null,
  };
}
