import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel } from './channels/channel.ts';
import { type Frame, hasTime } from './frame.ts';
import { type Lease, whileHeld } from './lease.ts';
import { log } from './log.ts';
import { inSpan } from './spans.ts';
import type { Delivery, DeviceId, OutgoingReply, Storage, Turn } from './storage/storage.ts';

/** Milliseconds that a timer may fire too early, and the storage rounds. */
const SLACK = 20;

/** A reply whose turn to be sent has not come. */
export const untried = ({ id }: OutgoingReply): Delivery => ({
  id,
  status: 'pending',
  untried: true,
});

/**
 * Sends the replies in their order, notes what became of them, and ends the turn. Gives the one that goes on, if one
 * does.
 *
 * @param watcher told when a reply that could not be sent is due again
 */
export async function deliver(
  { storage, channelOf }: { storage: Storage; channelOf(name: string): Channel | null },
  turn: Turn,
  replies: OutgoingReply[],
  lease: Lease,
  frame: Frame,
  watcher: { delayed?(due: Due): void },
): Promise<{ turn: Turn; since: number } | null> {
  const channel = channelOf(turn.channel);
  const deliveries: Delivery[] = [];
  for (const reply of replies) {
    // past the lease somebody else may be sending: what is left unsaid here becomes `unknown` there
    if (channel === null || !lease.holds()) break;
    const attributes = { 'baton.device_id': turn.device, 'baton.channel': turn.channel };
    const delivery = await inSpan('send', attributes, async (span) => {
      const sent = await channel.send(reply, turn, lease.signal);
      span.setAttribute('baton.status', sent.status);
      return sent;
    });
    deliveries.push(delivery);
    // the next one must not overtake it
    if (delivery.status === 'pending' || delivery.status === 'unknown') break;
  }
  const fates = [...deliveries, ...replies.slice(deliveries.length).map(untried)];
  let since = 0;
  const settled = await whileHeld(lease, () => {
    since = performance.now();
    return storage.settle(turn.device, turn.fence, fates, hasTime(frame) ? lease.length() : 0);
  });
  if (settled === null) {
    log('warn', 'settle_too_late', { device_id: turn.device });
    return null;
  }
  const last = deliveries.at(-1);
  if (last?.status === 'pending' && last.retryMs !== undefined)
    watcher.delayed?.({ device: turn.device, at: performance.now() + last.retryMs + SLACK });
  return settled.turn === null ? null : { turn: settled.turn, since };
}

/** A device whose next reply is due at this time, by performance.now(). */
export interface Due {
  device: DeviceId;
  at: number;
}

/**
 * Waits for the first of these times and takes the device then. Nobody holds its turn meanwhile, so that what the
 * person says is answered, and sent behind.
 *
 * @param due what was waited for is taken out
 * @param take gives the device's turn, if it is free and something is due or waits
 * @param frame what it has not enough time for is left to the sweep
 */
export async function takeDue<Taken>(
  due: Due[],
  take: (device: DeviceId) => Promise<Taken | null>,
  frame: Frame,
): Promise<Taken | null> {
  while (due.length > 0) {
    due.sort((a, b) => b.at - a.at);
    const wait = Math.max(0, (due.at(-1)?.at ?? 0) - performance.now());
    if (!hasTime(frame, wait)) break;
    const next = due.pop();
    await sleep(wait);
    const taken = next === undefined ? null : await take(next.device);
    if (taken !== null) return taken;
  }
  return null;
}
