import { and, eq, isNotNull, sql } from 'drizzle-orm';
import { conversationStates as states } from '../../../drizzle/schema.ts';
import type { StorageLimits } from '../limits.ts';
import { type DeviceId, HUMAN, type IncomingMessage, type Storage, type Turn } from '../storage.ts';
import {
  array,
  callOf,
  type Database,
  device as caller,
  fence,
  lane,
  linkedAnew,
  only,
  termsOf,
  turnTerms,
} from './database.ts';
import { run } from './failures.ts';
import { parseAccepted, parseLock, parseTurn } from './rows.ts';

function prepare(db: Database) {
  const request = sql`${sql.placeholder('requestId')}::text`;
  const maxTurns = sql`${sql.placeholder('maxTurns')}::int`;
  const turn = { now: sql<string>`now`, turn: sql<unknown>`turn` };
  const isNewest = and(
    sql`${states.deviceId} in (${caller}, ${linkedAnew})`,
    eq(states.turnFence, fence),
    eq(states.turnLane, sql.placeholder('lane')),
  );
  const lease = sql`${sql.placeholder('leaseMs')}::int * interval '1 ms'`;
  return {
    accept: db
      .select({
        ...turn,
        device: sql<string>`device_id`,
        messages: sql<unknown>`messages`,
        lock: sql<unknown>`lock`,
        waiting: sql<boolean>`waiting`,
      })
      .from(
        sql`baton_accept_v1(${sql.placeholder('messages')}::jsonb, ${request}, ${lane}, ${maxTurns}, ${turnTerms}, ${sql.placeholder('sessionTtl')}::int)`,
      )
      .prepare('baton_accept'),
    next: db
      .select(turn)
      .from(
        sql`baton_next_v1(${sql.placeholder('devices')}::uuid[], ${request}, ${lane}, ${maxTurns}, ${turnTerms})`,
      )
      .prepare('baton_next'),
    recover: db
      .select(turn)
      .from(
        sql`baton_recover_v2(${request}, ${maxTurns}, ${turnTerms}, ${sql.placeholder('restMs')}::int)`,
      )
      .prepare('baton_recover'),
    extend: db
      .update(states)
      .set({ turnExpiresAt: sql`baton_now_v1() + ${lease}` })
      .where(and(isNewest, isNotNull(states.turnExpiresAt)))
      .returning({
        expiresAt: states.turnExpiresAt,
        now: sql<string>`${states.turnExpiresAt} - ${lease}`,
      })
      .prepare('baton_extend'),
    // given back twice is given back; after a commit there is nothing to give
    giveBack: db
      .update(states)
      .set({ turnExpiresAt: null, handed: sql`'{}'` })
      .where(and(isNewest, sql`${states.committedFence} is distinct from ${fence}`))
      .returning({ device: states.deviceId })
      .prepare('baton_give_back'),
  };
}

function toSender(sender: IncomingMessage['sender']) {
  if ('device' in sender) return { device_id: sender.device };
  if ('session' in sender) return { session_id: sender.session, owner: sender.owner ?? undefined };
  const { phone, userId, dial } = sender;
  return { phone: phone ?? undefined, user_id: userId ?? undefined, dial };
}

const toRow = (message: IncomingMessage) => ({
  ...toSender(message.sender),
  channel: message.channel,
  account: message.account === '' ? undefined : message.account,
  external_id: message.externalId,
  content: message.content,
  metadata: message.metadata,
  sent_at: message.sentAt,
  answer_within: message.answerWithin,
  turn: message.turn,
  max_waiting: message.maxWaiting,
  per_minute: message.perMinute,
  ...(message.byHuman !== undefined && {
    author: HUMAN,
    human_ttl: message.byHuman.ttlSeconds ?? undefined,
  }),
  ...(message.becomes !== undefined && {
    becomes: {
      phone: message.becomes.phone ?? undefined,
      user_id: message.becomes.userId ?? undefined,
    },
  }),
  revokes: message.revokes,
});

function toTurns(rows: { now: string; turn: unknown }[]): { now: Date; turns: Turn[] } {
  return {
    now: new Date(only(rows).now),
    turns: rows.map((row) => parseTurn(row.turn)).filter((turn) => turn !== null),
  };
}

/** How a turn is taken, kept alive and given back. */
export function grantOperations(
  db: Database,
  limits: StorageLimits,
): Pick<Storage, 'accept' | 'next' | 'recover' | 'extend' | 'giveBack'> {
  const statements = prepare(db);
  const terms = termsOf(limits);
  const { sessionTtl } = limits;
  return {
    async accept(messages, call) {
      const incoming = JSON.stringify(messages.map(toRow));
      const values = { messages: incoming, lane: call.lane, ...callOf(call), ...terms, sessionTtl };
      const rows = await run(() => statements.accept.execute(values), true);
      return rows.map((row) => ({
        device: row.device as DeviceId,
        now: new Date(row.now),
        ...parseAccepted(row.messages),
        lock: parseLock(row.lock),
        waiting: row.waiting,
        turn: parseTurn(row.turn),
      }));
    },
    async next(devices, call) {
      const values = { devices: array(devices), lane: call.lane, ...callOf(call), ...terms };
      return toTurns(await run(() => statements.next.execute(values), true));
    },
    async recover(call, restMs = 0) {
      const values = { ...callOf(call), ...terms, restMs };
      return toTurns(await run(() => statements.recover.execute(values), true));
    },
    async extend(device, token, of, leaseMs) {
      const row = (
        await run(
          () => statements.extend.execute({ device, fence: token, lane: of, leaseMs }),
          true,
        )
      )[0];
      return row?.expiresAt == null ? null : { now: new Date(row.now), expiresAt: row.expiresAt };
    },
    async giveBack(device, token, of) {
      return (
        (await run(() => statements.giveBack.execute({ device, fence: token, lane: of }), true))
          .length > 0
      );
    },
  };
}
