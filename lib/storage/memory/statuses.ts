import type { ReplyStatus } from '../storage.ts';
import type { Synchronous } from './operations.ts';
import type { Memory, Row } from './tables.ts';

/** What a channel reports, in the order in which it can come true. */
const STEPS: readonly string[] = ['pending', 'sending', 'unknown', 'sent', 'delivered', 'read'];
/** A failure that is told once somebody has the reply is none. */
const FAILURE = STEPS.indexOf('delivered');

/** What a channel reports of the replies it was given. */
export function statusOperations({
  tables,
  limits,
  now: clock,
}: Memory): Pick<Synchronous, 'noteStatuses'> {
  return {
    noteStatuses(channel, statuses) {
      const now = clock();
      const replies = [...tables.devices.values()]
        .flatMap(({ messages }) => messages)
        .filter((row) => row.role === 'assistant' && row.key === null && row.channel === channel);
      const told = Map.groupBy(statuses, (status) => replyOf(replies, status));
      told.delete(undefined);
      for (const [reply, reports] of told) {
        const report = furthest(reports);
        if (reply !== undefined && report !== undefined && isNews(reply, report))
          note(reply, report, limits.maxAttempts, now);
      }
      return { now: new Date(now), known: told.size };
    },
  };
}

/** By its own id, which went out with it, or by the channel's. */
function replyOf(replies: Row[], { account, externalId, replyId }: ReplyStatus): Row | undefined {
  const own = replies.filter((row) => row.account === account);
  return (
    own.find(({ id }) => String(id) === replyId) ?? own.find((row) => row.externalId === externalId)
  );
}

/** A failure before all. */
function furthest(reports: ReplyStatus[]): ReplyStatus | undefined {
  const order = ['failed', 'read', 'delivered', 'sent'];
  return reports.toSorted((a, b) => order.indexOf(a.status) - order.indexOf(b.status))[0];
}

/** Statuses only move forward, and of several attempts each has an id of its own: one says nothing of the next. */
function isNews(reply: Row, { status, externalId }: ReplyStatus): boolean {
  const stands = STEPS.indexOf(reply.status);
  const comes = status === 'failed' ? FAILURE : STEPS.indexOf(status);
  if (stands === -1 || stands >= comes) return false;
  if (reply.externalId === null) return true;
  const isEarlier = reply.externalId === externalId;
  return stands < STEPS.indexOf('sent') ? !isEarlier : isEarlier;
}

function note(
  reply: Row,
  { status, externalId, error, retryMs }: ReplyStatus,
  maxAttempts: number,
  now: number,
): void {
  reply.externalId = externalId;
  reply.error = error ?? null;
  reply.status = retryMs !== undefined && reply.attempts < maxAttempts ? 'pending' : status;
  if (retryMs !== undefined) reply.claimEndsAt = now + retryMs;
}
