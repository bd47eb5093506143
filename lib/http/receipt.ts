import type { Receipt } from '../storage/storage.ts';

/** What was erased, as callers read it. */
export const receiptOf = ({ erasedAt, ...receipt }: Receipt & { erasedAt: Date }) => ({
  erased_at: erasedAt,
  devices: receipt.devices,
  shared_devices: receipt.shared,
  sessions: receipt.sessions,
  messages: receipt.messages,
  lock_events: receipt.holdings,
  identities: receipt.identities,
});

/** Whether a caller asks for what was done rather than for 204 (RFC 7240, 4.2). */
export const wantsReceipt = (headers: Headers): boolean =>
  /(^|,)\s*return=representation\s*(,|;|$)/i.test(headers.get('prefer') ?? '');
