import type { Lane, Turn } from '../storage.ts';
import { viewLock } from './locks.ts';
import {
  byPlace,
  bySending,
  isSameWay,
  isUnsettled,
  isWaiting,
  viewMessage,
  viewReply,
  fitting,
} from './messages.ts';
import { type Device, drawFence, type Grant, type Memory, type Row } from './tables.ts';

/** Messages that one turn is handed at most, and replies that it sends. */
const MOST = 100;

export interface Taker {
  /** Whoever asks again under the same name gets the same turn again. */
  owner: string;
  lane: Lane;
  leaseMs: number;
}

/** The owner's name of a turn that was kept by the write which ended the one before. */
export const after = (fence: string): string => `after:${fence}`;

/** Whether nobody else may have the device's turn now. */
export const isHeld = ({ grant }: Device, now: number): boolean =>
  grant !== null && grant.endsAt !== null && grant.endsAt > now;

/** Whether a turn has committed, and is sending what it said. */
export const isSending = ({ grant, committed }: Device): boolean =>
  grant !== null && grant.fence === committed?.fence;

/** Gives the device's turn if it is free and there is something to do. Replies that are due go first. */
export function takeTurn(
  memory: Memory,
  device: Device,
  { owner, lane, leaseMs }: Taker,
  now: number,
): Turn | null {
  if (isHeld(device, now)) {
    // the answer to this very call was lost: it gets its turn again
    return device.grant?.owner === owner ? viewTurn(memory, device, device.grant, now) : null;
  }
  noteLapse(memory, device);
  const replies = lane === 'builtin' ? dueReplies(device, now) : [];
  const handed = replies.length > 0 ? [] : oldestWaiting(device, lane);
  if (replies.length === 0 && handed.length === 0) return null;

  const endsAt = now + leaseMs;
  const grant: Grant = {
    fence: drawFence(memory.tables),
    owner,
    lane,
    endsAt,
    handed,
    lockVersion: device.lockVersion,
    stateVersion: device.stateVersion,
  };
  device.grant = grant;
  if (replies.length > 0) device.committed = { fence: grant.fence, hash: null };
  for (const reply of replies) {
    reply.status = 'sending';
    reply.attempts++;
    reply.claimEndsAt = endsAt;
  }
  return viewTurn(memory, device, grant, now);
}

/** Whoever had the turn let it fall: of what it was sending nobody knows the fate; what it had to answer it failed. */
function noteLapse({ limits }: Memory, device: Device): void {
  const { grant } = device;
  if (grant === null || grant.endsAt === null) return;
  if (isSending(device)) {
    for (const reply of device.messages.filter(({ status }) => status === 'sending')) {
      reply.status = 'unknown';
      reply.claimEndsAt = grant.endsAt + limits.resendAfterMs;
    }
  } else countAttempt(grant.handed, 'lease_expired', limits.maxAttempts);
  grant.endsAt = null;
  grant.handed = [];
}

/**
 * Once more for each of these messages; what failed too often is set aside.
 *
 * @returns how often those have failed that still wait; null: none of them does
 */
export function countAttempt(handed: Row[], error: string, maxAttempts: number): number | null {
  const failed = handed.filter(isWaiting);
  for (const row of failed) {
    row.attempts++;
    row.error = error;
    if (row.attempts >= maxAttempts) row.status = 'failed';
  }
  const left = failed.filter(isWaiting).map(({ attempts }) => attempts);
  return left.length === 0 ? null : Math.max(...left);
}

/** The head of the queue as far as it is due and goes the same way: no reply may overtake an earlier one. */
function dueReplies({ messages }: Device, now: number): Row[] {
  const queue = messages.filter(isUnsettled).toSorted(byPlace).slice(0, MOST);
  const end = queue.findIndex((row) => row.claimEndsAt > now || !isSameWay(row, queue[0]));
  return end === -1 ? queue : queue.slice(0, end);
}

/** The oldest message of the lane, and what waits with it in its session, channel and account. */
function oldestWaiting({ messages }: Device, lane: Lane): Row[] {
  const waiting = messages.filter((row) => isWaiting(row) && row.lane === lane);
  const together = waiting.filter(
    (row) => row.session === waiting[0]?.session && isSameWay(row, waiting[0]),
  );
  return fitting(together.slice(0, MOST), 2, 1);
}

/** Everything its holder works from: what it has to answer, or to send, and what was said before. */
function viewTurn({ limits }: Memory, device: Device, grant: Grant, now: number): Turn | null {
  const replies = isSending(device)
    ? device.messages.filter(({ status }) => status === 'sending').toSorted(byPlace)
    : [];
  const handed = grant.handed.filter(isWaiting);
  const first = replies[0] ?? handed[0];
  // the channel has told what became of its replies before its worker did
  if (first === undefined) return null;
  const history = device.messages.filter(
    (row) => row.seq !== null && row.session === first.session && row.lane === first.lane,
  );
  const newest = history.toSorted(byPlace).toReversed().slice(0, limits.history);
  return {
    device: device.id,
    fence: grant.fence,
    expiresAt: new Date(grant.endsAt ?? now),
    sessionId: first.session,
    channel: first.channel,
    account: first.account,
    address: first.address,
    lock: viewLock(device, now),
    state: device.state ?? {},
    stateVersion: device.state === null ? null : device.stateVersion,
    messages: handed.toSorted(bySending).map(viewMessage),
    history: replies.length > 0 ? [] : fitting(newest, 1, 0).toReversed().map(viewMessage),
    replies: replies.map((row) => viewReply(row, device, now)),
  };
}
