import type { Delivery, Message, OutgoingReply, Reply, Turn } from '../storage/storage.ts';

/** How replies leave. Web and API callers read theirs; for them there is nothing to send. */
export interface Channel {
  /** The messages that one reply makes here, in their order; each is kept, sent and settled on its own. */
  split(reply: Reply): Reply[];
  /**
   * Shows the person that somebody is at work on these messages, until the function it gives is called. Best effort:
   * it returns at once, and what becomes of it changes nothing.
   */
  attend(turn: Pick<Turn, 'device' | 'account' | 'messages'>): () => void;
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
  /** Fetches the file that came with a message; left out where files do not come by id. @throws {MediaError} */
  fetchMedia?(
    message: Message,
    turn: Pick<Turn, 'account'>,
    signal: AbortSignal,
    limits?: MediaLimits,
  ): Promise<Media>;
}

/** A file that a person sent. */
export interface Media {
  bytes: Uint8Array;
  /** As the channel has it: the sender's claim. */
  mimeType: string;
}

export interface MediaLimits {
  /** 16 MiB if left out. */
  maxBytes?: number;
  /** Milliseconds; 30,000 if left out. */
  timeoutMs?: number;
}

/**
 * Why a file could not be had. `no_media`: none came with the message. `not_configured`: there is no access token.
 * `not_found`: the channel has it no more. `refused`: the token may not read it. `foreign_host`: the way led to a
 * host that is not the channel's. `unreachable`, the one for which another try may help: the channel did not answer,
 * not in time, or with an error of its own.
 */
export class MediaError extends Error {
  override readonly name = 'MediaError';
  readonly code:
    | 'no_media'
    | 'not_configured'
    | 'not_found'
    | 'refused'
    | 'too_large'
    | 'foreign_host'
    | 'unreachable';

  constructor(code: MediaError['code']) {
    super(`the file could not be fetched: ${code}`);
    this.code = code;
  }
}
