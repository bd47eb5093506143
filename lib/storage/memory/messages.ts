import type { Message, OutgoingReply } from '../storage.ts';
import type { Device, Row, Tables } from './tables.ts';

export const isWaiting = ({ status }: Row): boolean => status === 'waiting';

/** A reply that is not out yet, as far as anybody knows. */
export const isUnsettled = ({ status }: Row): boolean =>
  status === 'pending' || status === 'sending' || status === 'unknown';

/** By one channel, from or to one end of the business. */
export const isSameWay = (a: Row, b: Row | undefined): boolean =>
  a.channel === b?.channel && a.account === b.account;

/** The order in which messages are handed over: their senders' clocks, then arrival. */
export const bySending = (a: Row, b: Row): number => a.sentAt - b.sentAt || a.id - b.id;
export const byPlace = (a: Row, b: Row): number => (a.seq ?? 0) - (b.seq ?? 0);

export const viewMessage = (row: Row): Message => ({
  id: String(row.id),
  messageId: row.externalId,
  role: row.role,
  content: row.content,
  agent: row.agent,
  metadata: row.metadata,
  sentAt: new Date(row.sentAt),
  createdAt: new Date(row.createdAt),
});

/** Milliseconds in which a channel lets a business answer freely. */
const WINDOW = 24 * 3_600_000;

export function viewReply(row: Row, { messages }: Device, now: number): OutgoingReply {
  const heard = messages.filter(
    (one) => one.role === 'user' && (one.seq !== null || isWaiting(one)) && isSameWay(one, row),
  );
  const inWindow = heard.some(({ sentAt }) => sentAt > now - WINDOW);
  return {
    ...viewMessage(row),
    attempts: row.attempts,
    address: row.address,
    inWindow: row.status !== 'sending' || inWindow,
  };
}

/** Enters messages into the history without a turn; `holder`, if anybody, holds the conversation. */
export function enterHistory(
  { sessions }: Tables,
  device: Device,
  rows: Row[],
  holder: string | null,
  now: number,
): void {
  for (const row of rows.toSorted(bySending)) {
    row.status = 'recorded';
    row.holder = holder;
    row.seq = ++device.lastSeq;
    const session = sessions.get(row.session);
    if (session === undefined) continue;
    session.messageCount++;
    session.lastActivity = now;
  }
}

export const bytesIn = ({ content, metadata }: Row): number =>
  Buffer.byteLength(JSON.stringify(content)) + Buffer.byteLength(JSON.stringify(metadata));

/** As many from the start as fit into so many mebibytes, and `least` in any case. */
export function fitting(rows: Row[], mebibytes: number, least: number): Row[] {
  let bytes = 0;
  const end = rows.findIndex((row, index) => {
    bytes += bytesIn(row);
    return index >= least && bytes > mebibytes * 1_048_576;
  });
  return end === -1 ? rows : rows.slice(0, end);
}
