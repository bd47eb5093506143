import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';
import type { IncomingMessage, ReplyStatus } from '../../storage/storage.ts';
import { errorCodes, id, name, object, objects, words } from './parse-fields.ts';
import {
  type Reader,
  readCall,
  readEcho,
  readMessage,
  readUserIdUpdate,
  WHATSAPP,
} from './parse-message.ts';
import { readContacts } from './parse-sender.ts';
import { readStatus } from './parse-status.ts';
import { phoneKey } from './phone.ts';

export { WHATSAPP };

/** Meta's phone number ids have some 16 digits. */
const MAX_ACCOUNT = 64;

export interface Inbound {
  /** In their order. */
  messages: IncomingMessage[];
  statuses: ReplyStatus[];
  /** What was left alone, and why: one word each, for the log. */
  ignored: string[];
  /** What somebody should look at. */
  alerts: Alert[];
}

/** A line for the log: words, ids and codes alone. */
export interface Alert {
  /** Names the line. */
  kind: string;
  what?: string;
  phone_number_id?: string;
  codes?: number[];
  /** It will not get better until the owner of the account does something. */
  owner?: boolean;
}

export interface Served {
  /** Phone number ids this deployment answers for; empty: any. */
  phoneNumberIds: readonly string[];
  /** Seconds a person who answered from the business's own app holds the conversation. */
  humanTtl: number;
}

/** How the elements of a field are read, and under which name they stand. */
const readers: ReadonlyMap<unknown, { list: string; read: Reader }> = new Map([
  ['messages', { list: 'messages', read: readMessage }],
  ['smb_message_echoes', { list: 'message_echoes', read: readEcho }],
  ['calls', { list: 'calls', read: readCall }],
  ['user_id_update', { list: 'user_id_update', read: readUserIdUpdate }],
]);

/** Fields that say how the account is doing. */
const ALERTING: ReadonlySet<unknown> = new Set([
  'account_alerts',
  'account_review_update',
  'account_update',
  'phone_number_quality_update',
  'security',
]);

/**
 * What a webhook body holds. Everything is taken from `unknown`: a broken element costs itself and never its
 * neighbours, and what nobody knows is passed by with a word for the log.
 */
export function parseWebhook(body: JsonObject, served: Served): Inbound {
  const inbound: Inbound = { messages: [], statuses: [], ignored: [], alerts: [] };
  if (body['object'] !== 'whatsapp_business_account') {
    inbound.ignored.push('other_object');
    return inbound;
  }
  for (const entry of objects(body['entry'])) {
    for (const change of objects(entry['changes'])) {
      const value = object(change['value']);
      if (value !== null) readValue(change['field'], value, served, inbound);
    }
  }
  return inbound;
}

/** The field decides, not what the value happens to hold: a history sync looks like a live message. */
function readValue(
  field: JsonValue | undefined,
  value: JsonObject,
  served: Served,
  inbound: Inbound,
): void {
  const reader = readers.get(field);
  if (reader === undefined) {
    if (ALERTING.has(field)) inbound.alerts.push({ kind: name(field), what: name(value['event']) });
    else inbound.ignored.push(`field:${name(field)}`);
    return;
  }
  const { phoneNumberIds, humanTtl } = served;
  const metadata = object(value['metadata']);
  const account = id(metadata?.['phone_number_id'], MAX_ACCOUNT);
  if (account === null || (phoneNumberIds.length > 0 && !phoneNumberIds.includes(account))) {
    const shown = /^\d+$/.test(account ?? '') ? { phone_number_id: account ?? '' } : {};
    inbound.alerts.push({ kind: 'unknown_number', ...shown });
    return;
  }
  const own = phoneKey(words(metadata?.['display_phone_number']) ?? '');
  const elements = list(value[reader.list]);
  const contacts = readContacts(value['contacts']);
  const place = { account, own, contacts, alone: elements.length === 1, humanTtl };
  for (const message of readAll(elements, inbound, (element) => reader.read(element, place)))
    inbound.messages.push(message);
  if (field !== 'messages') return;
  const statuses = readAll(list(value['statuses']), inbound, (each) => readStatus(each, account));
  for (const { status, owner } of statuses) {
    inbound.statuses.push(status);
    const { error } = status;
    if (error !== undefined) inbound.alerts.push({ kind: 'reply_failed', what: error, owner });
  }
  const codes = errorCodes(value['errors']);
  if (codes.length > 0) inbound.alerts.push({ kind: 'errors', codes });
}

const list = (value: JsonValue | undefined): JsonValue[] => (Array.isArray(value) ? value : []);

function* readAll<T extends object>(
  elements: JsonValue[],
  { ignored }: Inbound,
  read: (element: JsonObject) => T | string,
): Generator<T> {
  for (const element of elements) {
    const result = isJsonObject(element) ? read(element) : 'broken_element';
    if (typeof result === 'string') ignored.push(result);
    else yield result;
  }
}
