import type { Delivery, OutgoingReply, Turn } from '../storage/storage.ts';

/** How replies leave. Web and API callers read theirs; for them there is nothing to send. */
export interface Channel {
  /**
   * Sends one reply. Never rejects: what happened stands in the answer, `unknown` where nobody can tell.
   *
   * @param signal ends the wait for the channel
   */
  send(
    reply: OutgoingReply,
    turn: Pick<Turn, 'device' | 'account'>,
    signal: AbortSignal,
  ): Promise<Delivery>;
}
