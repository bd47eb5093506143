import * as z from 'zod/mini';
import { BatonError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { isPlausibleTime } from './fields.ts';
import type { FoundPlace, ListPlace } from '../storage/storage.ts';

// Places in a list, as callers hand them back: opaque to them, and checked like everything else they send.

const time = z.pipe(
  z.iso.datetime().check(z.refine(isPlausibleTime)),
  z.transform((text) => new Date(text)),
);
const listed = z.tuple([time, z.guid()]);
const found = z.tuple([z.number(), time, z.guid()]);
const message = z.tuple([z.string().check(z.regex(/^\d{1,18}$/))]);

const encode = (place: readonly unknown[]): string =>
  Buffer.from(JSON.stringify(place)).toString('base64url');

function decode<Schema extends z.ZodMiniType>(
  schema: Schema,
  cursor: string,
  parameter: string,
): z.output<Schema> {
  let place: unknown;
  try {
    place = parseJson(Buffer.from(cursor, 'base64url').toString());
  } catch {
    place = null;
  }
  const result = schema.safeParse(place);
  if (result.success) return result.data;
  throw new BatonError('invalid_request', 'The cursor is none of this list; begin without one', [
    { path: parameter, message: 'expected a cursor of this list' },
  ]);
}

export const listCursor = {
  write: ({ lastActivity, id }: ListPlace) => encode([lastActivity, id]),
  /** @throws {BatonError} `invalid_request` */
  read(cursor: string): ListPlace {
    const [lastActivity, id] = decode(listed, cursor, 'cursor');
    return { lastActivity, id };
  },
};

export const foundCursor = {
  write: ({ rank, lastActivity, id }: FoundPlace) => encode([rank, lastActivity, id]),
  /** @throws {BatonError} `invalid_request` */
  read(cursor: string): FoundPlace {
    const [rank, lastActivity, id] = decode(found, cursor, 'cursor');
    return { rank, lastActivity, id };
  },
};

export const historyCursor = {
  write: (place: string) => encode([place]),
  /** @throws {BatonError} `invalid_request` */
  read: (cursor: string): string => decode(message, cursor, 'before')[0],
};
