import { bigint, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import { time } from './columns.ts';

// Tables that hold nothing of a conversation: what operators look at, and what their commands note.

/** What the instances have counted: each adds up its own, and what it has goes here about once a second. */
export const counters = pgTable(
  'counters',
  {
    name: text('name').notNull(),
    label: text('label').notNull(),
    value: bigint('value', { mode: 'number' }).notNull(),
    /** When it last grew. */
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.name, table.label] })],
);

/** Backups that were restored into this database, so that one goes on where it was broken off, and none is applied twice. */
export const restores = pgTable('restores', {
  backupId: uuid('backup_id').primaryKey(),
  /** Of the file, already applied. */
  lines: bigint('lines', { mode: 'number' }).notNull(),
  startedAt: time('started_at').notNull().defaultNow(),
  completedAt: time('completed_at'),
});
