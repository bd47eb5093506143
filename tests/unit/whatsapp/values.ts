import { type Inbound, parseWebhook } from '../../../lib/channels/whatsapp/parse.ts';
import type { JsonObject, JsonValue } from '../../../lib/json.ts';
import type { IncomingMessage } from '../../../lib/storage/storage.ts';

export const number = '200000000000001';
export const ours = { phoneNumberIds: [number], humanTtl: 3_600 };

/** A text message of ana's; `some` replaces parts of it. */
export const text = (some: JsonObject = {}): JsonObject => ({
  from: '12025550101',
  from_user_id: 'US.101',
  id: 'wamid.1',
  timestamp: '1795176000',
  type: 'text',
  text: { body: 'Hello' },
  ...some,
});

/** A message of another kind, with what stands under that name. */
export const ofKind = (type: string, content: JsonValue, some: JsonObject = {}): JsonObject => {
  const { text: _, ...rest } = text({ type, [type]: content, ...some });
  return rest;
};

/** A webhook body with one change; `value` and `change` replace parts of it. */
export function bodyOf(
  messages: JsonValue,
  value: JsonObject = {},
  change: JsonObject = {},
): JsonObject {
  const metadata = { display_phone_number: '+1 555-010-0001', phone_number_id: number };
  const inner = { messaging_product: 'whatsapp', metadata, messages, ...value };
  return {
    object: 'whatsapp_business_account',
    entry: [{ id: '1', changes: [{ field: 'messages', value: inner, ...change }] }],
  };
}

export const parsed = (messages: JsonValue, value?: JsonObject, change?: JsonObject): Inbound =>
  parseWebhook(bodyOf(messages, value, change), ours);

/** The elements of another field than `messages`. */
export const parsedField = (field: string, list: string, elements: JsonValue, value?: JsonObject) =>
  parsed([], { [list]: elements, ...value }, { field });

/** The only message there is. */
export function only({ messages, ignored }: Inbound): IncomingMessage {
  const [message] = messages;
  if (message === undefined || messages.length > 1)
    throw new Error(`${messages.length} messages; ignored: ${ignored.join(' ')}`);
  return message;
}
