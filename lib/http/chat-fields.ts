import * as z from 'zod/mini';
import { type FormatName, formats } from '../export.ts';
import type { DeviceId } from '../storage/storage.ts';
import { check } from './body.ts';
import { count, document, messageId, sessionTtl, userId } from './fields.ts';

// What the calls of /api/chat/sessions take in their queries and bodies.

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const deviceId = z.pipe(
  z.string().check(z.toLowerCase(), z.regex(UUID, 'expected a UUID')),
  z.transform((id) => id as DeviceId),
);
const flag = z.pipe(
  z.enum(['true', 'false']),
  z.transform((text) => text === 'true'),
);
const format = z.optional(z.enum(Object.keys(formats) as FormatName[]));
const reach = { include_expired: z._default(flag, false) };

/** Of a call that names a session. */
export const itemQuery = z.object(reach);

export const beginQuery = z.object({ user_id: z.optional(userId) });
export const beginBody = z.object({
  user_id: z.optional(userId),
  metadata: z.optional(document),
  session_ttl: z.optional(sessionTtl),
});

export const listQuery = z
  .object({
    ...reach,
    user_id: z.optional(userId),
    device_id: z.optional(deviceId),
    active: z.optional(flag),
    /** A blank one is none: that is what an empty search box sends. */
    q: z.optional(z.string().check(z.maxLength(1_000))),
    limit: z._default(count(1_000), 50),
    cursor: z.optional(z.string()),
    format,
  })
  .check(
    z.refine(
      ({ format: asked, user_id: user, device_id: device, active, q, cursor }) =>
        asked === undefined ||
        ((user !== undefined || device !== undefined) &&
          [active, q, cursor].every((other) => other === undefined)),
      {
        path: ['format'],
        error: 'exports everything of a user_id or device_id: leave out active, q and cursor',
      },
    ),
  );

export const historyQuery = z.object({
  ...reach,
  max_messages: z._default(count(1_000), 20),
  before: z.optional(z.string()),
  format,
});

export const changeBody = z.object({
  metadata: z.optional(document),
  complete: z.optional(z.literal(true, 'a session can be completed, and not opened again')),
});

export const messageBody = z.object({
  message: z.string(),
  metadata: z.optional(document),
  message_id: z.optional(messageId),
});

/** @throws {BatonError} `invalid_request` */
export function readQuery<Schema extends z.ZodMiniType>(
  schema: Schema,
  { searchParams }: URL,
): z.output<Schema> {
  return check<z.output<Schema>>(schema, Object.fromEntries(searchParams), 'query');
}

/** A session's id as a path has it; null: none ever looked like that. */
export function parseSessionId(text: string | undefined): string | null {
  const id = text?.toLowerCase() ?? '';
  return UUID.test(id) ? id : null;
}

/** A user as a path has it. @throws {BatonError} `invalid_request` */
export function parseUserId(text = ''): string {
  return check(z.object({ user_id: userId }), { user_id: decoded(text) }, 'path').user_id;
}

/** What is no percent-encoding of UTF-8 is nobody's name. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
