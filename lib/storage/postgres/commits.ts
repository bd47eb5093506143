import { sql } from 'drizzle-orm';
import type { StorageLimits } from '../limits.ts';
import type { Commit, CommitResult, Delivery, Storage } from '../storage.ts';
import { type Database, device, fence, lane, only, termsOf, turnTerms } from './database.ts';
import { run } from './failures.ts';
import { parseCommitted, parseLock, parseOutgoing, parseTurn } from './rows.ts';

function prepare(db: Database) {
  const turn = { now: sql<string>`now`, outcome: sql<string>`outcome`, turn: sql<unknown>`turn` };
  return {
    commit: db
      .select({
        ...turn,
        lock: sql<unknown>`lock`,
        sessionId: sql<string | null>`session_id`,
        answered: sql<unknown>`answered`,
        replies: sql<unknown>`replies`,
        deliver: sql<boolean | null>`deliver`,
      })
      .from(
        sql`baton_commit_v1(${device}, ${fence}, ${sql.placeholder('commit')}::jsonb, ${lane}, ${turnTerms}, ${sql.placeholder('sessionTtl')}::int, ${sql.placeholder('completedTtl')}::int, ${sql.placeholder('maxBytes')}::int)`,
      )
      .prepare('baton_commit'),
    settle: db
      .select(turn)
      .from(
        sql`baton_settle_v1(${device}, ${fence}, ${sql.placeholder('deliveries')}::jsonb, ${turnTerms})`,
      )
      .prepare('baton_settle'),
    fail: db
      .select({
        now: sql<string>`now`,
        outcome: sql<string>`outcome`,
        retryAt: sql<string | null>`retry_at`,
      })
      .from(
        sql`baton_fail_v1(${device}, ${fence}, ${sql.placeholder('error')}::text, ${sql.placeholder('maxAttempts')}::int)`,
      )
      .prepare('baton_fail'),
  };
}

const toCommitRow = ({ replies, deliver, state, statePatch, lock, complete }: Commit) => ({
  replies,
  deliver,
  state,
  state_patch: statePatch,
  lock,
  complete,
});

const toDeliveryRow = ({ id, status, externalId, error, retryMs, untried, instead }: Delivery) => ({
  id,
  status,
  external_id: externalId,
  error,
  retry_ms: retryMs,
  untried,
  instead,
});

interface CommitRow {
  now: string;
  outcome: string;
  lock: unknown;
  sessionId: string | null;
  answered: unknown;
  replies: unknown;
  deliver: boolean | null;
  turn: unknown;
}

function toResult(row: CommitRow): CommitResult {
  const now = new Date(row.now);
  if (row.outcome === 'state_conflict') return { outcome: 'state_conflict', now };
  if (row.outcome !== 'committed') return { outcome: 'lost', now };
  return {
    outcome: 'committed',
    now,
    lock: parseLock(row.lock),
    sessionId: row.sessionId,
    answered: parseCommitted(row.answered),
    replies: parseOutgoing(row.replies),
    deliver: row.deliver === true,
    turn: parseTurn(row.turn),
  };
}

/** How a turn ends. */
export function commitOperations(
  db: Database,
  limits: StorageLimits,
): Pick<Storage, 'commit' | 'settle' | 'fail'> {
  const statements = prepare(db);
  const terms = termsOf(limits);
  const { sessionTtl, completedTtl, maxStateBytes: maxBytes, maxAttempts } = limits;
  return {
    async commit(id, token, of, content, leaseMs) {
      const commit = JSON.stringify(toCommitRow(content));
      const values = {
        device: id,
        fence: token,
        lane: of,
        commit,
        leaseMs,
        ...terms,
        sessionTtl,
        completedTtl,
        maxBytes,
      };
      const row = only(await run(() => statements.commit.execute(values), true));
      return toResult(row);
    },
    async settle(id, token, deliveries, leaseMs) {
      const values = {
        device: id,
        fence: token,
        deliveries: JSON.stringify(deliveries.map(toDeliveryRow)),
        leaseMs,
        ...terms,
      };
      const row = only(await run(() => statements.settle.execute(values), true));
      return row.outcome === 'settled'
        ? { now: new Date(row.now), turn: parseTurn(row.turn) }
        : null;
    },
    async fail(id, token, error) {
      const row = only(
        await run(
          () => statements.fail.execute({ device: id, fence: token, error, maxAttempts }),
          true,
        ),
      );
      if (row.outcome !== 'failed') return null;
      return {
        now: new Date(row.now),
        retryAt: row.retryAt === null ? null : new Date(row.retryAt),
      };
    },
  };
}
