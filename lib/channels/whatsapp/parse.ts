import { isJsonObject, type JsonObject, type JsonValue, storableText } from '../../json.ts';
import type { IncomingMessage } from '../../storage/storage.ts';

/** The channel's name in rows and logs. */
export const WHATSAPP = 'whatsapp';

/** A real message id has some 60 characters; a longer one than this is nobody's. */
const MAX_ID = 512;
/** Meta's phone number ids have some 16 digits. */
const MAX_ACCOUNT = 64;

export interface Inbound {
  messages: IncomingMessage[];
  /** What was left alone, and why: one word each, for the log. */
  ignored: string[];
}

const objects = (value: JsonValue | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isJsonObject) : [];

/** A non-empty string. Ids that are JSON numbers have lost digits on the way and lead to nobody. */
const text = (value: JsonValue | undefined): string | null =>
  typeof value === 'string' && value !== '' ? value : null;

const digits = (value: JsonValue | undefined): string | null =>
  text(text(value)?.replace(/\D/g, '').slice(0, 32));

/**
 * The text messages of a webhook body, in their order. Everything is taken from `unknown`: a broken element costs
 * itself and never its neighbours.
 *
 * @param numbers phone number ids this deployment answers for; empty: any
 */
export function parseWebhook(body: JsonObject, numbers: readonly string[]): Inbound {
  const inbound: Inbound = { messages: [], ignored: [] };
  if (body['object'] !== 'whatsapp_business_account') {
    inbound.ignored.push('other_object');
    return inbound;
  }
  for (const entry of objects(body['entry'])) {
    for (const change of objects(entry['changes'])) {
      // the field decides, not what the value happens to hold: a history sync looks like a live message
      if (change['field'] !== 'messages') inbound.ignored.push(`field:${name(change['field'])}`);
      else if (isJsonObject(change['value'])) readValue(change['value'], numbers, inbound);
    }
  }
  return inbound;
}

function readValue(value: JsonObject, numbers: readonly string[], inbound: Inbound): void {
  const metadata = isJsonObject(value['metadata']) ? value['metadata'] : {};
  const account = text(metadata['phone_number_id']);
  if (
    account === null ||
    account.length > MAX_ACCOUNT ||
    (numbers.length > 0 && !numbers.includes(account))
  ) {
    inbound.ignored.push('unknown_number');
    return;
  }
  const own = digits(metadata['display_phone_number']);
  const elements = Array.isArray(value['messages']) ? value['messages'] : [];
  for (const element of elements) {
    const message = isJsonObject(element) ? readMessage(element, account, own) : 'broken_message';
    if (typeof message === 'string') inbound.ignored.push(message);
    else inbound.messages.push(message);
  }
  if (Array.isArray(value['statuses']) && value['statuses'].length > 0)
    inbound.ignored.push('statuses');
}

/** The message, or why it is none. */
function readMessage(
  message: JsonObject,
  account: string,
  own: string | null,
): IncomingMessage | string {
  const id = text(message['id']);
  if (id === null || id.length > MAX_ID) return 'no_message_id';
  const phone = digits(message['from']);
  const userId = text(message['from_user_id']);
  if (phone === null && userId === null) return 'no_sender';
  if (phone !== null && phone === own) return 'own_message';
  if (message['group_id'] !== undefined) return 'group';
  if (message['type'] !== 'text') return `type:${name(message['type'])}`;
  const content = isJsonObject(message['text']) ? message['text']['body'] : undefined;
  if (typeof content !== 'string') return 'unreadable_text';
  return {
    sender: { phone, userId: userId === null ? null : storableText(userId).slice(0, MAX_ID) },
    channel: WHATSAPP,
    account: storableText(account),
    externalId: storableText(id),
    content: storableText(content),
    metadata: {},
    sentAt: readTime(message['timestamp']),
  };
}

/** Seconds since 1970 as a string; the storage has the last word on whether it makes sense. */
function readTime(value: JsonValue | undefined): Date | null {
  const seconds = typeof value === 'string' && /^\d{1,11}$/.test(value) ? Number(value) : NaN;
  const time = new Date(seconds * 1_000);
  return Number.isNaN(time.getTime()) ? null : time;
}

/** A kind as it may stand in a log line. */
function name(value: JsonValue | undefined): string {
  return typeof value === 'string' && /^[a-z_]{1,40}$/.test(value) ? value : 'unknown';
}
