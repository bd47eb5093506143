import { type AcceptedDevice, HUMAN, type IncomingMessage, type TurnTerms } from '../storage.ts';
import { addressOf } from './identities.ts';
import { hold, liveHolding, recordUnderHuman } from './locks.ts';
import { enterHistory, isWaiting } from './messages.ts';
import { countMessage, rateOf } from './rates.ts';
import { openSession, touchSession } from './sessions.ts';
import { type Device, type Memory, type Row, type Tables, keyOf } from './tables.ts';

/** Milliseconds; a sender's clock that is further off makes no sense. */
const OLDEST = 30 * 86_400_000;
const AHEAD = 10 * 60_000;

/** A message of a batch and what is kept of it, or why nothing is. */
export interface Arrival {
  index: number;
  device: Device;
  message: IncomingMessage;
  row: Row | null;
  refused: AcceptedDevice['refused'][number]['reason'] | null;
  isNew: boolean;
}

/**
 * Stores a message, unless it was stored before or may not be. Only a new one is a sign of life, and opens a session or
 * prolongs it.
 */
export function storeOnce(
  memory: Memory,
  device: Device,
  { message, index }: { message: IncomingMessage; index: number },
  terms: TurnTerms,
  now: number,
): Arrival {
  const { tables } = memory;
  const account = message.account === '' ? device.id : message.account;
  const key = keyOf(message.channel, account, message.externalId);
  const known = tables.keys.get(key) ?? null;
  const arrival = { index, device, message, isNew: false };
  const named = 'session' in message.sender ? message.sender.session : null;
  const session = named === null ? null : tables.sessions.get(named);
  // a session that is over is absent, also to a message that it took before
  if (session === undefined || (session !== null && session.expiresAt <= now))
    return { ...arrival, row: null, refused: 'session_not_found' };
  if (known !== null) return { ...arrival, row: known, refused: null };
  if (session?.complete === true) return { ...arrival, row: null, refused: 'session_complete' };
  const waiting = device.messages.filter(isWaiting).length;
  if (message.maxWaiting !== undefined && waiting >= message.maxWaiting)
    return { ...arrival, row: null, refused: 'rate_limited' };
  const { perMinute } = message;
  if (perMinute !== undefined) {
    if (rateOf(device, perMinute, now).left === 0)
      return { ...arrival, row: null, refused: 'too_fast' };
    countMessage(device, perMinute, now);
  }

  if (session !== null) touchSession(memory, device, session, now);
  const thread = session?.id ?? openSession(memory, device, message.channel, now);
  const row = newRow(tables, { device, message, account, session: thread, key }, terms, now);
  tables.keys.set(key, row);
  device.messages.push(row);
  return { ...arrival, row, refused: null, isNew: true };
}

function newRow(
  tables: Tables,
  {
    device,
    message,
    ...places
  }: { device: Device; message: IncomingMessage; account: string; session: string; key: string },
  { lane, requestId }: TurnTerms,
  now: number,
): Row {
  const { channel, content, metadata, externalId, byHuman } = message;
  return {
    ...places,
    id: ++tables.lastId,
    device: device.id,
    seq: null,
    role: byHuman === undefined ? 'user' : 'assistant',
    content,
    metadata,
    agent: byHuman === undefined ? null : HUMAN,
    channel,
    lane,
    externalId,
    address: addressOf(tables, device.id, message),
    holder: null,
    requestId,
    status: 'waiting',
    answers: [],
    fence: null,
    attempts: 0,
    error: null,
    claimEndsAt: 0,
    sentAt: plausible(message, now),
    createdAt: now,
  };
}

function plausible({ sentAt }: IncomingMessage, now: number): number {
  const told = sentAt?.getTime() ?? now;
  return told >= now - OLDEST && told <= now + AHEAD ? told : now;
}

/** What arrivals do beside waiting: some only enter the history, one a person has said holds the conversation. */
export function noteArrivals({ tables }: Memory, arrivals: Arrival[], now: number): void {
  const fresh = arrivals.flatMap(({ device, message, row, isNew }) =>
    row === null || !isNew ? [] : [{ device, message, row, inTime: isInTime(message, row, now) }],
  );
  const noted = fresh.filter(
    ({ message, inTime }) => message.turn === false || message.byHuman !== undefined || !inTime,
  );
  for (const [device, entries] of Map.groupBy(noted, (entry) => entry.device)) {
    const rows = entries.map(({ row }) => row);
    enterHistory(tables, device, rows, null, now);
  }
  for (const { device, message, inTime } of fresh) {
    const ttl = message.byHuman?.ttlSeconds ?? null;
    if (ttl !== null && inTime) holdByHuman(tables, device, ttl, now);
    if (message.revokes !== undefined) markDeleted(tables, device, message, message.revokes);
  }
  for (const device of new Set(arrivals.map((arrival) => arrival.device))) {
    recordUnderHuman(tables, device, now);
  }
}

function isInTime({ answerWithin }: IncomingMessage, { sentAt }: Row, now: number): boolean {
  return answerWithin === undefined || sentAt > now - answerWithin * 1_000;
}

/** An operator's longer hold is not cut short. */
function holdByHuman(tables: Tables, device: Device, ttl: number, now: number): void {
  const live = liveHolding(device, now);
  if (live?.agent === HUMAN && live.expiresAt > now + ttl * 1_000) return;
  hold(tables, device, { agent: HUMAN, ttl }, now);
}

function markDeleted(
  { keys }: Tables,
  device: Device,
  { channel, account }: IncomingMessage,
  revoked: string,
): void {
  const row = keys.get(keyOf(channel, account, revoked));
  if (row?.device === device.id) row.metadata = { ...row.metadata, deleted: true };
}
