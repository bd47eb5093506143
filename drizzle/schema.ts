import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  index,
  integer,
  jsonb,
  pgSequence,
  pgTable,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core';
import { bytes, searchVector, serial64, time } from './columns.ts';

export { counters, restores } from './operating.ts';

/** Fences and versions of every row come from here, so that none ever falls back, even after a row is gone. */
export const versions = pgSequence('baton_versions', { cache: 1 });

/** One row, two random keys made by the first migration: see functions/baton_hmac_v1.sql. */
export const deploymentKeys = pgTable('deployment_keys', {
  id: boolean('id').primaryKey().default(true),
  innerKey: bytes('inner_key').notNull(),
  outerKey: bytes('outer_key').notNull(),
});

/** Everything Baton must know to give a device its next turn. Blanked, never deleted. */
export const conversationStates = pgTable(
  'conversation_states',
  {
    deviceId: uuid('device_id').primaryKey(),
    activeAgent: varchar('active_agent', { length: 50 }),
    lockedAt: time('locked_at'),
    /** The lock's TTL in seconds; a renewal starts it anew. */
    sessionTtl: integer('session_ttl').notNull().default(86400),
    lockExpiresAt: time('lock_expires_at'),
    lockVersion: serial64('lock_version'),

    /** null: no document. The version stays and grows, so that a later one is never mistaken for an older. */
    state: jsonb('state').$type<Record<string, unknown>>(),
    stateVersion: serial64('state_version'),
    stateUpdatedAt: time('state_updated_at'),

    sessionId: uuid('session_id'),
    sessionExpiresAt: time('session_expires_at'),
    lastSeq: bigint('last_seq', { mode: 'number' }).notNull().default(0),

    /** The newest fence ever drawn for this device; it names the turn that may write. */
    turnFence: serial64('turn_fence'),
    /** Who drew it: a request id, or the write that kept the turn. A repeated call finds its turn by it. */
    turnOwner: text('turn_owner'),
    turnLane: text('turn_lane'),
    /** null: released. Past: anybody may take it, and until somebody does its holder may still write. */
    turnExpiresAt: time('turn_expires_at'),
    /** Ids of the messages the turn has to answer; left standing when a lease lapses, which is how a failed attempt is noticed. */
    handed: bigint('handed', { mode: 'bigint' }).array(),
    grantedLockVersion: serial64('granted_lock_version'),
    grantedStateVersion: serial64('granted_state_version'),
    /** Equal to turn_fence while the committed replies are being sent. */
    committedFence: serial64('committed_fence'),
    committedHash: bytes('committed_hash'),
    createdAt: time('created_at').notNull().defaultNow(),
    /** The clock of the last operation on this row. */
    updatedAt: time('updated_at').notNull().defaultNow(),
    /** RATE_LIMIT: the moment until which what was let in so far counts (a generic cell rate algorithm, one column). */
    rateUntil: time('rate_until'),
    /** When everything of the device was erased; whoever speaks for it begins afresh. */
    erasedAt: time('erased_at'),
  },
  (table) => [
    // clean-up of lapsed locks
    index('conversation_states_lapsing_locks')
      .on(table.lockExpiresAt)
      .where(sql`${table.activeAgent} is not null`),
    // clean-up of ended sessions
    index('conversation_states_lapsing_sessions')
      .on(table.sessionExpiresAt)
      .where(sql`${table.sessionId} is not null`),
  ],
);

/** A thread of messages. */
export const chatSessions = pgTable(
  'chat_sessions',
  {
    sessionId: uuid('session_id').primaryKey(),
    deviceId: uuid('device_id').notNull(),
    userId: text('user_id'),
    channel: text('channel').notNull(),
    metadata: jsonb('metadata').$type<Record<string, unknown>>().notNull().default({}),
    complete: boolean('complete').notNull().default(false),
    messageCount: integer('message_count').notNull().default(0),
    /** Seconds after the last activity; null: the deployment's SESSION_TTL. */
    ttl: integer('ttl'),
    createdAt: time('created_at').notNull().defaultNow(),
    lastActivity: time('last_activity').notNull().defaultNow(),
    expiresAt: time('expires_at').notNull(),
    /** Of the texts that `message_count` counts. */
    bytes: bigint('bytes', { mode: 'number' }).notNull().default(0),
  },
  (table) => [
    // a device's sessions, newest first; erase
    index('chat_sessions_device').on(table.deviceId, table.lastActivity),
    // a user's sessions, the living ones first; how many there are
    index('chat_sessions_user')
      .on(table.userId, table.expiresAt)
      .where(sql`${table.userId} is not null`),
    // everybody's living sessions; how many there are, and how large, from the index alone
    index('chat_sessions_living').on(table.expiresAt, table.complete, table.bytes),
    // how many began since
    index('chat_sessions_created').on(table.createdAt),
    // retention
    index('chat_sessions_activity').on(table.lastActivity),
  ],
);

export const chatMessages = pgTable(
  'chat_messages',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    deviceId: uuid('device_id').notNull(),
    sessionId: uuid('session_id').notNull(),
    /** Place in the device's history, without gaps; null while waiting. */
    seq: bigint('seq', { mode: 'number' }),
    role: text('role', { enum: ['user', 'assistant'] }).notNull(),
    content: text('content').notNull(),
    metadata: jsonb('metadata').$type<Record<string, unknown>>().notNull().default({}),
    agent: varchar('agent', { length: 50 }),
    channel: text('channel').notNull(),
    /** The business's own end: a WhatsApp phone number id; for web and api the device itself. */
    account: text('account').notNull(),
    lane: text('lane', { enum: ['builtin', 'external'] }).notNull(),
    /** The sender's id of the message; of a reply, the channel's (a wamid). */
    externalId: text('external_id'),
    dedupeKey: bytes('dedupe_key'),
    /** Where an answer goes: the ids the sender wrote with, `{phone, user_id}`; of a reply, of whom it answers. */
    address: jsonb('address').$type<Record<string, string>>(),
    /** Of an answered message: who held the conversation afterwards. Told again when it is asked again. */
    holder: varchar('holder', { length: 50 }),
    /** The call that stored it: a repeated ACCEPT is told apart from a redelivery by it. */
    requestId: text('request_id'),
    /** user: waiting, answered, recorded, failed. assistant: pending, sending, unknown, sent, delivered, read, failed, printed, recorded. */
    status: text('status').notNull(),
    /** Of a reply: the ids of the messages it answers. */
    answers: bigint('answers', { mode: 'bigint' }).array(),
    /** The fence it was answered or written with. */
    turnFence: serial64('turn_fence'),
    attempts: integer('attempts').notNull().default(0),
    /** An error's name or code, never its text. */
    error: text('error'),
    /** Of an unsettled reply: no other worker tries it before. */
    claimExpiresAt: time('claim_expires_at'),
    /** The sender's clock where it makes sense, else the arrival. */
    sentAt: time('sent_at').notNull(),
    createdAt: time('created_at').notNull(),
    search: searchVector('search').generatedAlwaysAs(sql`baton_search_vector_v1(content)`),
  },
  (table) => [
    // the de-duplication
    unique('chat_messages_dedupe').on(table.dedupeKey),
    // the order of a device's history, and the replies that follow a message
    uniqueIndex('chat_messages_order').on(table.deviceId, table.seq),
    // a session's history
    index('chat_messages_session').on(table.sessionId, table.seq),
    // what was said since
    index('chat_messages_created').on(table.createdAt),
    // what a turn takes, and what recovery looks for
    index('chat_messages_waiting')
      .on(table.deviceId, table.lane, table.id)
      .where(sql`${table.status} = 'waiting'`),
    // what recovery looks for, oldest first
    index('chat_messages_fallen')
      .on(table.id)
      .where(sql`${table.status} = 'waiting' and ${table.lane} = 'builtin'`),
    // keys of deleted messages that nobody will send again
    index('chat_messages_erased')
      .on(table.createdAt)
      .where(sql`${table.status} = 'erased'`),
    // what was set aside
    index('chat_messages_failed')
      .on(table.id)
      .where(sql`${table.status} = 'failed' and ${table.role} = 'user'`),
    // what recovery looks for, whatever the device. The second condition says nothing of the rows; it keeps the
    // planner from reading this whole list for one device's replies, as it did while the table was new
    index('chat_messages_due')
      .on(table.status, table.claimExpiresAt)
      .where(
        sql`${table.status} in ('pending', 'sending', 'unknown') and ${table.claimExpiresAt} is not null`,
      ),
    // a status finds its reply by the channel's id
    index('chat_messages_sent')
      .on(table.channel, table.account, table.externalId)
      .where(sql`${table.role} = 'assistant' and ${table.externalId} is not null`),
    // the order in which a device's replies go out
    index('chat_messages_unsettled')
      .on(table.deviceId, table.seq)
      .where(sql`${table.status} in ('pending', 'sending', 'unknown')`),
    index('chat_messages_search').using('gin', table.search),
  ],
);

/**
 * Which device a sender of a channel is; who is linked to a device (kind `device`); and which users have had chat
 * sessions on one (kind `user`, under the device's own account).
 */
export const channelIdentities = pgTable(
  'channel_identities',
  {
    channel: text('channel').notNull(),
    account: text('account').notNull(),
    kind: text('kind').notNull(),
    value: text('value').notNull(),
    deviceId: uuid('device_id').notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
    /** When the clean-up last saw that it is needed. */
    checkedAt: time('checked_at')
      .notNull()
      .default(sql`baton_now_v1()`),
  },
  (table) => [
    primaryKey({ columns: [table.channel, table.account, table.kind, table.value] }),
    // where a device's replies go; erase
    index('channel_identities_device').on(table.deviceId),
    // the devices where a user has had chat sessions; erase
    index('channel_identities_user')
      .on(table.value)
      .where(sql`${table.kind} = 'user'`),
    // retention
    index('channel_identities_checked').on(table.checkedAt),
  ],
);

/** Codes by which another device joins a conversation. The code itself is not kept. */
export const linkCodes = pgTable(
  'link_codes',
  {
    /** HMAC of the code. */
    codeKey: bytes('code_key').primaryKey(),
    /** Whose conversation it opens. */
    deviceId: uuid('device_id').notNull(),
    /** Who used it: to that device alone it is still good, so that a repeated call finds its work done. */
    redeemedBy: uuid('redeemed_by'),
    expiresAt: time('expires_at').notNull(),
  },
  (table) => [
    // a device's own code, which a new one replaces
    uniqueIndex('link_codes_device').on(table.deviceId),
    // codes that are over
    index('link_codes_lapsing').on(table.expiresAt),
  ],
);

/** Wrong codes that a device has tried. */
export const linkTries = pgTable(
  'link_tries',
  {
    deviceId: uuid('device_id').primaryKey(),
    tries: integer('tries').notNull(),
    since: time('since').notNull(),
  },
  // how many were tried lately by all
  (table) => [index('link_tries_since').on(table.since)],
);

/** Who held which device, written by the trigger of functions/baton_lock_event_v1.sql. */
export const lockEvents = pgTable(
  'lock_events',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    deviceId: uuid('device_id').notNull(),
    agent: varchar('agent', { length: 50 }).notNull(),
    startedAt: time('started_at').notNull(),
    endedAt: time('ended_at').notNull(),
    reason: text('reason', { enum: ['expired', 'cleared', 'handed_over'] }).notNull(),
  },
  (table) => [
    // a device's timeline, newest first
    index('lock_events_device').on(table.deviceId, table.id),
    // retention
    index('lock_events_ended').on(table.endedAt),
  ],
);
