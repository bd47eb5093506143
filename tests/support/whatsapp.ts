import { randomUUID } from 'node:crypto';

export interface Text {
  id?: string;
  /** Left out: a person whose number is not shown. */
  from?: string;
  userId?: string;
  body: string;
}

/** A webhook body with these texts, in Meta's shape. */
export function bodyOf(texts: readonly Text[], account = '200000000000001'): string {
  const messages = texts.map(({ id, from, userId, body }) => ({
    ...(from !== undefined && { from }),
    ...(userId !== undefined && { from_user_id: userId }),
    id: id ?? `wamid.${randomUUID()}`,
    timestamp: String(Math.floor(Date.now() / 1_000)),
    type: 'text',
    text: { body },
  }));
  const metadata = { display_phone_number: '12025550199', phone_number_id: account };
  const value = { messaging_product: 'whatsapp', metadata, contacts: [], messages };
  return JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [{ id: '100000000000001', changes: [{ value, field: 'messages' }] }],
  });
}

/** One greeting of each of so many senders nobody has seen. */
export function textsOf(senders: number): string {
  const prefix = String(Math.floor(Math.random() * 1e9)).padStart(9, '0');
  return bodyOf(
    Array.from({ length: senders }, (_, i) => ({ from: `${prefix}${i}`, body: 'hello' })),
  );
}
