import type { JsonObject, JsonValue } from '../../json.ts';
import type { Identity } from '../../storage/storage.ts';
import { id, object, objects, someOf, words } from './parse-fields.ts';
import { phoneKey } from './phone.ts';

/** A business-scoped user id has a country, a point and up to 128 characters. */
const MAX_USER_ID = 256;

/** Who a phone number and a user id lead to; null: to nobody. */
export function identityOf(
  phone: JsonValue | undefined,
  userId: JsonValue | undefined,
): Identity | null {
  const written = words(phone);
  const key = written === null ? null : phoneKey(written);
  const user = id(userId, MAX_USER_ID);
  if (key === null && user === null) return null;
  return {
    phone: key,
    userId: user,
    ...(key !== null && written !== null && key !== written && { dial: written }),
  };
}

/** The `contacts` of a value, which stand in no particular order. */
export interface Contacts {
  /** The person's profile, where a contact carries one of their ids. */
  profileOf(sender: Identity): JsonObject | null;
  /** The one contact there is. */
  only: Identity | null;
}

export function readContacts(value: JsonValue | undefined): Contacts {
  const contacts = objects(value);
  const byUserId = new Map<string | null, JsonObject>();
  const byPhone = new Map<string | null, JsonObject>();
  const identities = contacts.map((contact) => {
    const identity = identityOf(contact['wa_id'], contact['user_id']);
    if (identity?.userId != null) byUserId.set(identity.userId, contact);
    if (identity?.phone != null) byPhone.set(identity.phone, contact);
    return identity;
  });
  return {
    profileOf({ userId, phone }) {
      const contact = byUserId.get(userId) ?? byPhone.get(phone);
      const profile = object(contact?.['profile']);
      return someOf({
        name: words(profile?.['name'], 256),
        username: words(profile?.['username'], 256),
      });
    },
    only: contacts.length === 1 ? (identities[0] ?? null) : null,
  };
}
