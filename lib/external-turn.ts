import type { Registry } from './agents/registry.ts';
import type { Config } from './config.ts';
import { count } from './counters.ts';
import { BatonError } from './errors.ts';
import { assertStorable, type JsonObject, storableText } from './json.ts';
import type { Frame } from './frame.ts';
import { assertFits, unlessRefused } from './limits.ts';
import { inSpan } from './spans.ts';
import { countMessage, noteRate, type RateLimiter } from './rate-limit.ts';
import {
  type AcceptedDevice,
  type Commit,
  type DeviceId,
  type Fence,
  HUMAN,
  type LockMove,
  type Storage,
  type Turn,
} from './storage/storage.ts';

/** The same turns as the built-in agents have, for a bot that runs elsewhere and speaks HTTP. */
export interface ExternalServices {
  storage: Storage;
  config: Config;
  registry: Registry;
  limiter?: RateLimiter | null;
}

export type Asked =
  | { kind: 'turn'; turn: Turn }
  /** Somebody holds the turn; the message is stored. */
  | { kind: 'queued' }
  /** A person holds the conversation; the message is in the history. */
  | { kind: 'human' }
  /** This message was taken before. */
  | { kind: 'duplicate' }
  /** Nothing waits. */
  | { kind: 'nothing' };

const lost = () =>
  new BatonError(
    'turn_lost',
    'This token is not the newest of the device any more; nothing was written. Ask for the turn again',
  );

/** What became of a turn, as it is counted. */
const TOLD = {
  committed: 'answered',
  lost: 'turn_lost',
  state_conflict: 'state_conflict',
} as const;

const termsOf = (config: Config, requestId: string) => ({
  requestId,
  lane: 'external' as const,
  leaseMs: config.turnLease * 1_000,
  maxTurns: 1,
});

/**
 * Stores a message of the external lane and takes the turn if nobody has it.
 *
 * @throws {BatonError} `rate_limited`, `message_too_large`, `metadata_too_large`, `unstorable_text`: it was not stored
 */
export async function submit(
  services: ExternalServices,
  device: DeviceId,
  message: { messageId: string; content: string; metadata: JsonObject },
  frame: Frame,
): Promise<Asked> {
  const { storage, config } = services;
  assertStorable(message.metadata, 'metadata');
  assertFits(config, message.content, message.metadata);
  const incoming = {
    sender: { device },
    channel: 'api',
    account: device,
    externalId: message.messageId,
    content: storableText(message.content),
    metadata: message.metadata,
    sentAt: null,
    maxWaiting: config.maxWaitingMessages,
    ...(await countMessage(services, device, frame)),
  };
  const terms = termsOf(config, frame.requestId);
  const attributes = { 'baton.channel': 'api', 'baton.lane': terms.lane, 'baton.messages': 1 };
  const [accepted] = await inSpan('accept', attributes, () => storage.accept([incoming], terms));
  if (accepted === undefined) return { kind: 'nothing' };
  noteRate(services, accepted, frame);
  return toAsked(unlessRefused(accepted));
}

function toAsked({ turn, messages, lock }: AcceptedDevice): Asked {
  if (turn !== null) return { kind: 'turn', turn };
  if (messages[0]?.duplicate === true) return { kind: 'duplicate' };
  if (lock?.agent === HUMAN) return { kind: 'human' };
  return { kind: 'queued' };
}

/** Takes the turn if something waits. */
export async function poll(
  { storage, config }: ExternalServices,
  device: DeviceId,
  requestId: string,
): Promise<Asked> {
  const [turn] = (await storage.next([device], termsOf(config, requestId))).turns;
  return turn === undefined ? { kind: 'nothing' } : { kind: 'turn', turn };
}

export interface ExternalAnswer {
  replies: { content: string; metadata: JsonObject }[];
  state?: JsonObject;
  statePatch?: JsonObject;
  /** null ends the holding; left out, a held lock is renewed. */
  agent?: string | null;
  ttlSeconds?: number;
  complete?: boolean;
}

/**
 * Writes the answer and ends the turn, or keeps it when more has come in.
 *
 * @throws {BatonError} `turn_lost`, `state_conflict`, `state_too_large`, `unstorable_text`; nothing was written
 */
export async function answerTurn(
  services: ExternalServices,
  device: DeviceId,
  fence: Fence,
  answer: ExternalAnswer,
): Promise<Turn | null> {
  const { storage, config } = services;
  if (answer.state !== undefined) assertStorable(answer.state, 'state');
  if (answer.statePatch !== undefined) assertStorable(answer.statePatch, 'state_patch');
  const lock = lockMove(services, answer);
  const commit: Commit = {
    replies: answer.replies.map(({ content, metadata }) => {
      assertStorable(metadata, 'metadata');
      return { content: storableText(content), metadata, agent: null };
    }),
    deliver: false,
    lock,
    ...(answer.state !== undefined && { state: answer.state }),
    ...(answer.statePatch !== undefined && { statePatch: answer.statePatch }),
    ...(answer.complete === true && { complete: true }),
  };
  const leaseMs = config.turnLease * 1_000;
  const attributes = { 'baton.device_id': device, 'baton.replies': commit.replies.length };
  const result = await inSpan('commit', attributes, async (span) => {
    const committed = await storage.commit(device, fence, 'external', commit, leaseMs);
    span.setAttribute('baton.outcome', committed.outcome);
    return committed;
  });
  count('turns', TOLD[result.outcome]);
  if (result.outcome === 'committed') return result.turn;
  if (result.outcome === 'lost') throw lost();
  throw new BatonError(
    'state_conflict',
    'The state was changed since the turn was given; nothing was written. Send state_patch, or read it again',
  );
}

function lockMove(
  { registry, config }: ExternalServices,
  { agent, ttlSeconds }: ExternalAnswer,
): LockMove {
  if (agent === undefined)
    return { do: 'renew', ...(ttlSeconds !== undefined && { ttl: ttlSeconds }) };
  if (agent === null) return { do: 'clear' };
  return { do: 'set', agent, ttl: ttlSeconds ?? registry.ttlOf(agent, config.defaultSessionTtl) };
}

/** Renews the lease. @throws {BatonError} `turn_lost` */
export async function renewTurn(
  { storage, config }: ExternalServices,
  device: DeviceId,
  fence: Fence,
): Promise<Date> {
  const extended = await storage.extend(device, fence, 'external', config.turnLease * 1_000);
  if (extended === null) throw lost();
  return extended.expiresAt;
}

/** Gives the turn back, its messages still waiting. @throws {BatonError} `turn_lost` */
export async function returnTurn(
  { storage }: ExternalServices,
  device: DeviceId,
  fence: Fence,
): Promise<void> {
  if (!(await storage.giveBack(device, fence, 'external'))) throw lost();
}
