import { ask } from '../await-answer.ts';
import type { Frame } from '../frame.ts';
import { assertStorable, type JsonObject, storableText } from '../json.ts';
import { assertFits, sessionNotFound, unlessRefused } from '../limits.ts';
import { countMessage, noteRate } from '../rate-limit.ts';
import type { DeviceId } from '../storage/storage.ts';
import { receive, type TurnServices } from '../turn.ts';

/** The channel's name in rows and logs. */
export const CHAT = 'chat';

export interface ChatMessage {
  session: string;
  /** The session must be this device's; null: any. */
  owner: DeviceId | null;
  /** null: the caller sent none, and cannot ask again. */
  messageId: string | null;
  text: string;
  metadata: JsonObject;
}

export type ChatAnswer =
  | {
      kind: 'answered';
      messageId: string;
      /** As it was stored: of a message sent again, the first one's. */
      text: string;
      /** What the agents said, a paragraph each; empty where nobody did. */
      response: string;
      /** Who said it, else who holds the conversation. */
      agent: string | null;
      /** What the replies' metadata names as `sources`. */
      sources: JsonObject[string][];
    }
  /** Somebody else holds the turn for longer than the caller waits; the message is stored. */
  | { kind: 'queued'; messageId: string };

/**
 * A message to a chat session, answered in the response.
 *
 * @throws {BatonError} `session_not_found`, `session_complete`, `rate_limited`, `message_too_large`,
 *   `metadata_too_large`, `unstorable_text`: nothing was stored; else as `ask`
 */
export async function say(
  services: TurnServices,
  { session, owner, messageId, text, metadata }: ChatMessage,
  frame: Frame,
  keep: (work: Promise<unknown>) => void,
): Promise<ChatAnswer> {
  assertStorable(metadata, 'metadata');
  assertFits(services.config, text, metadata);
  const id = messageId ?? crypto.randomUUID();
  const message = {
    sender: { session, owner },
    channel: CHAT,
    // the caller's ids are the session's own: another session of the device may count from one as well
    account: session,
    externalId: id,
    content: storableText(text),
    metadata,
    sentAt: null,
    maxWaiting: services.config.maxWaitingMessages,
    ...(await countMessage(services, owner ?? session, frame)),
  };
  const since = performance.now();
  const [stored] = await receive(services, [message], frame);
  if (stored === undefined) throw sessionNotFound();
  noteRate(services, stored, frame);
  const accepted = unlessRefused(stored);
  const place = { device: accepted.device, channel: CHAT, account: session };
  const answer = await ask(services, { ...place, messageId: id, accepted, since }, frame, keep);
  if (answer === null) return { kind: 'queued', messageId: id };
  return {
    kind: 'answered',
    messageId: id,
    text: answer.text,
    response: answer.replies.map(({ content }) => content).join('\n\n'),
    agent: answer.replies.at(-1)?.agent ?? answer.activeAgent,
    sources: answer.replies.flatMap(({ metadata: { sources } }) =>
      Array.isArray(sources) ? sources : [],
    ),
  };
}
