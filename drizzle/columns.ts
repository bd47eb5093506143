import { bigint, customType, timestamp } from 'drizzle-orm/pg-core';

export const bytes = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' });
export const searchVector = customType<{ data: string }>({ dataType: () => 'tsvector' });

/**
 * Milliseconds, because that is what the wire carries: with microseconds in the row, a lock could be
 * held by 0.3 ms while the two printed times are equal.
 */
export const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });
export const serial64 = (name: string) => bigint(name, { mode: 'bigint' });
