import * as z from 'zod/mini';
import { AGENT_NAME } from '../agents/agent.ts';
import { isJsonObject, type JsonObject } from '../json.ts';

// Fields that several bodies share.

/** A JSON object of the caller's; whether it can be stored is checked where it is. */
export const document = z.custom<JsonObject>(isJsonObject, { error: 'expected an object' });

/** The caller's own id of a message: what makes a second delivery the same message. */
export const messageId = z.string().check(
  z.minLength(1),
  z.maxLength(512),
  z.refine((id) => !id.includes('\u0000') && id.isWellFormed(), {
    error: 'expected storable text',
  }),
);

/** Whoever is logged in, as the deployer's own systems call them. */
export const userId = z.string().check(
  z.minLength(1),
  z.maxLength(255),
  z.refine((id) => !id.includes('\u0000') && id.isWellFormed(), {
    error: 'expected storable text',
  }),
);

/** The token of a turn. PostgreSQL's bigint ends at nineteen digits; none will ever be drawn beyond eighteen. */
export const token = z.string().check(z.regex(/^\d{1,18}$/));

export const agentName = z.string().check(z.regex(AGENT_NAME));

/** A whole number in a query, from 1. */
export const count = (most: number) =>
  z.pipe(
    z.string().check(z.regex(/^\d{1,9}$/, 'expected a whole number')),
    z.pipe(
      z.transform((digits: string) => Number(digits)),
      z.int().check(z.minimum(1), z.maximum(most)),
    ),
  );

export const sessionTtl = z.int().check(z.minimum(1), z.maximum(2_592_000));

/**
 * Whether a moment is one that something can have happened at. PostgreSQL knows no year 0, V8 reads an early one back
 * as none, and 10000 has a sign before it.
 */
export function isPlausibleTime(text: string): boolean {
  const year = new Date(text).getUTCFullYear();
  return year >= 1970 && year <= 9999;
}
