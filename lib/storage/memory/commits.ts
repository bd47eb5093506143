import { createHash } from 'node:crypto';
import type { Commit, CommitResult, Fence, Lane, LockMove } from '../storage.ts';
import { clear, hold, liveHolding, viewLock } from './locks.ts';
import { byPlace, bySending, isUnsettled, isWaiting, viewReply } from './messages.ts';
import type { Synchronous } from './operations.ts';
import { touchSession } from './sessions.ts';
import { assertFits, merged, writeState } from './states.ts';
import { type Device, type Grant, type Memory, type Row, turnDevice } from './tables.ts';
import { after, isSending, takeTurn } from './turns.ts';

/** How a turn is answered. */
export function commitOperations(memory: Memory): Pick<Synchronous, 'commit'> {
  return {
    commit(id, fence, lane, content, leaseMs): CommitResult {
      const now = memory.now();
      const { tables } = memory;
      const of = lane === 'external' ? turnDevice(tables, id, fence) : id;
      const device = tables.devices.get(of);
      const hash = hashOf(lane, content);
      const { grant = null, committed = null } = device ?? {};
      const isRepeated = committed?.fence === fence && committed.hash === hash;
      if (device === undefined || grant === null) return { outcome: 'lost', now: new Date(now) };
      if (!isRepeated) {
        if (
          grant.fence !== fence ||
          grant.lane !== lane ||
          grant.endsAt === null ||
          isSending(device)
        )
          return { outcome: 'lost', now: new Date(now) };
        if (content.state !== undefined && device.stateVersion !== grant.stateVersion)
          return { outcome: 'state_conflict', now: new Date(now) };
        write(memory, device, grant, { content, hash, leaseMs }, now);
      }
      return outcomeOf(memory, device, { fence, lane, leaseMs }, now);
    },
  };
}

/** What came of a commit. Read, not written, and so the same for a repeated call. */
function outcomeOf(
  memory: Memory,
  device: Device,
  { fence, lane, leaseMs }: { fence: Fence; lane: Lane; leaseMs: number },
  now: number,
): CommitResult {
  const written = device.messages
    .filter((row) => row.fence === fence && row.seq !== null)
    .toSorted(byPlace);
  const answered = written.filter(({ role }) => role === 'user');
  const replies = written.filter(({ role }) => role === 'assistant');
  const deliver = device.grant?.fence === fence && device.grant.endsAt !== null;
  const lock = viewLock(device, now);
  return {
    outcome: 'committed',
    now: new Date(now),
    lock,
    sessionId: answered[0]?.session ?? null,
    answered: answered.map((row) => ({ id: String(row.id), messageId: row.externalId })),
    replies: replies.map((row) => viewReply(row, device, now)),
    deliver,
    turn: deliver ? null : takeTurn(memory, device, { owner: after(fence), lane, leaseMs }, now),
  };
}

/** All of a commit or, where the state does not fit, nothing. */
function write(
  memory: Memory,
  device: Device,
  grant: Grant,
  { content, hash, leaseMs }: { content: Commit; hash: string; leaseMs: number },
  now: number,
): void {
  const state = content.state ?? (content.statePatch && merged(device.state, content.statePatch));
  if (state !== undefined) assertFits(memory, state);

  const answered = grant.handed.filter(isWaiting).toSorted(bySending);
  // none may overtake an earlier one that is not out yet
  const isBlocked = content.deliver && device.messages.some(isUnsettled);
  for (const row of answered) {
    Object.assign(row, {
      status: 'answered',
      seq: ++device.lastSeq,
      fence: grant.fence,
      error: null,
    });
  }
  const replies = repliesTo(memory, device, grant, answered, content, now);
  for (const reply of replies) {
    reply.status = !content.deliver ? 'sent' : isBlocked ? 'pending' : 'sending';
    reply.attempts = isBlocked ? 0 : 1;
    reply.claimEndsAt = isBlocked ? now : now + leaseMs;
  }
  device.messages.push(...replies);

  const session = memory.tables.sessions.get(answered.at(-1)?.session ?? '');
  if (session !== undefined) {
    session.messageCount += answered.length + replies.length;
    session.complete ||= content.complete === true;
    touchSession(memory, device, session, now);
  }
  if (state !== undefined) writeState(memory, device, state, now);
  const isSent = content.deliver && replies.length > 0 && !isBlocked;
  grant.endsAt = isSent ? now + leaseMs : null;
  grant.handed = [];
  device.committed = { fence: grant.fence, hash };

  // a lock that somebody else moved since the grant stands
  if (device.lockVersion === grant.lockVersion) moveLock(memory, device, content.lock, now);
  const holder = liveHolding(device, now)?.agent ?? null;
  for (const row of answered) row.holder = holder;
}

/** The replies as they are stored; the last message says where the person is now. */
function repliesTo(
  { tables }: Memory,
  device: Device,
  { fence, lane }: Grant,
  answers: Row[],
  { replies }: Commit,
  now: number,
): Row[] {
  const last = answers.at(-1);
  if (last === undefined) return [];
  const { session, channel, account, address } = last;
  return replies.map(({ content, metadata, agent }): Row => ({
    id: ++tables.lastId,
    device: device.id,
    session,
    seq: ++device.lastSeq,
    role: 'assistant',
    content,
    metadata,
    agent: agent ?? liveHolding(device, now)?.agent ?? null,
    channel,
    account,
    lane,
    externalId: null,
    key: null,
    address,
    holder: null,
    requestId: null,
    status: 'sent',
    answers,
    fence,
    attempts: 0,
    error: null,
    claimEndsAt: now,
    sentAt: now,
    createdAt: now,
  }));
}

function moveLock({ tables }: Memory, device: Device, move: LockMove, now: number): void {
  const live = liveHolding(device, now);
  switch (move.do) {
    case 'set':
      hold(tables, device, move, now);
      break;
    case 'clear':
      clear(tables, device, now);
      break;
    case 'renew':
      if (live !== null)
        hold(tables, device, { agent: live.agent, ttl: move.ttl ?? live.sessionTtl }, now);
      break;
    case 'keep':
      break;
  }
}

/** Equal for equal content of one lane, in whatever order its keys come. */
function hashOf(lane: Lane, content: Commit): string {
  const text = JSON.stringify([lane, content], (_, item: unknown) =>
    typeof item !== 'object' || item === null || Array.isArray(item)
      ? item
      : Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  );
  return createHash('sha256').update(text).digest('base64');
}
