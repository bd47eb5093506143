import type { StorageLimits } from '../limits.ts';
import type { Delivery, Reply } from '../storage.ts';
import { byPlace, isSameWay } from './messages.ts';
import type { Synchronous } from './operations.ts';
import type { Device, Memory, Row } from './tables.ts';
import { after, isSending, takeTurn } from './turns.ts';

/** What became of the replies. */
export function deliveryOperations(memory: Memory): Pick<Synchronous, 'settle'> {
  return {
    settle(id, fence, deliveries, leaseMs) {
      const now = memory.now();
      const device = memory.tables.devices.get(id);
      const grant = device?.grant;
      if (device === undefined || grant == null) return null;
      const isOwn = grant.fence === fence && isSending(device);
      if (isOwn && grant.endsAt !== null) {
        noteAll(memory, device, deliveries, now);
        grant.endsAt = null;
      } else {
        noteLate(device, deliveries);
        // what is not lost was settled before, or found lapsed by somebody who had nothing to take
        if (!isOwn && grant.owner !== after(fence)) return null;
      }
      const taker = { owner: after(fence), lane: 'builtin', leaseMs } as const;
      return {
        now: new Date(now),
        turn: leaseMs > 0 ? takeTurn(memory, device, taker, now) : null,
      };
    },
  };
}

/** What became of the replies a turn was to send; one its worker says nothing of may be out or not. */
function noteAll(memory: Memory, device: Device, deliveries: Delivery[], now: number): void {
  const { limits } = memory;
  for (const row of device.messages.filter(({ status }) => status === 'sending')) {
    const delivery = deliveries.find((one) => one.id === String(row.id));
    if (delivery !== undefined) note(row, delivery, limits, now);
    else Object.assign(row, { status: 'unknown', claimEndsAt: now + limits.resendAfterMs });
  }
  for (const row of device.messages.filter(({ status }) => status === 'failed').toSorted(byPlace)) {
    const instead = deliveries.find(({ id }) => id === String(row.id))?.instead;
    if (instead !== undefined) sendInstead(memory, device, row, instead, now);
  }
}

function note(
  row: Row,
  { status, externalId, error, retryMs, untried }: Delivery,
  { maxAttempts, resendAfterMs }: StorageLimits,
  now: number,
): void {
  const isOpen = status === 'pending' || status === 'unknown';
  const gaveUp = isOpen && untried !== true && row.attempts >= maxAttempts;
  row.status = gaveUp ? 'failed' : status;
  row.externalId = externalId ?? row.externalId;
  row.error = error ?? null;
  if (untried === true) row.attempts--;
  row.claimEndsAt = now + (retryMs ?? (status === 'unknown' ? resendAfterMs : 0));
}

/** In the place of a reply that could not go out freely, another that may: once until the person writes again. */
function sendInstead(
  { tables }: Memory,
  device: Device,
  failed: Row,
  { content, metadata, agent }: Reply,
  now: number,
): void {
  const way = device.messages.filter((row) => row.seq !== null && isSameWay(row, failed));
  const heard =
    way
      .filter(({ role }) => role === 'user')
      .toSorted(byPlace)
      .at(-1)?.seq ?? 0;
  const isAsked = way.some(
    ({ seq, role, metadata: { reopens } }) =>
      role === 'assistant' && (seq ?? 0) > heard && reopens === true,
  );
  if (isAsked) return;
  device.messages.push({
    ...failed,
    id: ++tables.lastId,
    seq: ++device.lastSeq,
    content,
    metadata: { ...metadata, reopens: true },
    agent: agent ?? failed.agent,
    externalId: null,
    status: 'pending',
    attempts: 0,
    error: null,
    claimEndsAt: now,
    sentAt: now,
    createdAt: now,
  });
  const session = tables.sessions.get(failed.session);
  if (session !== undefined) session.messageCount++;
}

/** Who comes too late may still say what nobody else knows: that the channel took a reply, or never will. */
function noteLate({ messages }: Device, deliveries: Delivery[]): void {
  for (const { id, status, externalId, error } of deliveries) {
    const row = messages.find((one) => String(one.id) === id);
    if (row?.status !== 'unknown' || (status !== 'sent' && status !== 'failed')) continue;
    row.status = status;
    row.externalId ??= externalId ?? null;
    row.error = error ?? null;
  }
}
