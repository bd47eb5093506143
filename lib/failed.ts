import { type Frame, hasTime } from './frame.ts';
import type { DeviceId, FailedMessage, Storage } from './storage/storage.ts';

/** Messages that one statement puts back. */
const BATCH = 500;

export interface FailedPage {
  messages: FailedMessage[];
  /** Where to read on; null: this was the last page. */
  next: string | null;
}

/**
 * Messages that were set aside, their turns having failed MAX_ATTEMPTS times; oldest first.
 *
 * @param device null: of all devices
 * @param after `next` of the page before; null: from the beginning
 */
export async function listFailed(
  { storage }: { storage: Storage },
  device: DeviceId | null,
  after: string | null,
  limit: number,
): Promise<FailedPage> {
  // one more than asked for tells whether there is another page
  const { messages } = await storage.listFailed(device, after, limit + 1);
  const page = messages.slice(0, limit);
  return { messages: page, next: messages.length > limit ? (page.at(-1)?.id ?? null) : null };
}

/**
 * Lets them wait again, with all their tries before them. Asked for twice it finds nothing the second time.
 *
 * @param device null: of all devices
 * @returns how many, and whether the time was up before all were put back: call again
 */
export async function retryFailed(
  { storage }: { storage: Storage },
  device: DeviceId | null,
  frame: Frame,
): Promise<{ retried: number; more: boolean }> {
  const sum = { retried: 0, more: true };
  while (sum.more && hasTime(frame)) {
    const { retried, more } = await storage.retryFailed(device, BATCH);
    sum.retried += retried;
    sum.more = more;
  }
  return sum;
}
