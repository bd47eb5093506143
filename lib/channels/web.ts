import { defineAgent } from '../agents/agent.ts';
import { MANAGER } from '../agents/registry.ts';
import { runAgents } from '../agents/run.ts';
import { ask, type QuestionAnswer } from '../await-answer.ts';
import { BatonError } from '../errors.ts';
import type { Frame } from '../frame.ts';
import { assertStorable, type JsonObject, storableText } from '../json.ts';
import { assertFits, unlessRefused } from '../limits.ts';
import { log } from '../log.ts';
import { countMessage, noteRate } from '../rate-limit.ts';
import type { AcceptedDevice, DeviceId, Fence } from '../storage/storage.ts';
import { receive, type TurnServices } from '../turn.ts';

/** The channel's name in rows and logs. */
const WEB = 'web';

export interface WebMessage {
  /** null: the caller sent none, and cannot ask again. */
  messageId: string | null;
  text: string;
  metadata: JsonObject;
}

export type WebAnswer =
  | ({ kind: 'answered'; messageId: string; persisted: true } & QuestionAnswer)
  /** The database is down: the manager answered, and nobody will remember. */
  | {
      kind: 'answered';
      messageId: string;
      persisted: false;
      sessionId: null;
      activeAgent: null;
      replies: QuestionAnswer['replies'];
    }
  /** Somebody else holds the turn for longer than the caller waits; the message is stored. */
  | { kind: 'queued'; messageId: string };

/** A message from a web page or an app, answered in the response. @throws as `receive` and `ask` */
export async function chat(
  services: TurnServices,
  device: DeviceId,
  { messageId, text, metadata }: WebMessage,
  frame: Frame,
  keep: (work: Promise<unknown>) => void,
): Promise<WebAnswer> {
  assertStorable(metadata, 'metadata');
  assertFits(services.config, text, metadata);
  const id = messageId ?? crypto.randomUUID();
  const content = storableText(text);
  const message = {
    sender: { device },
    channel: WEB,
    account: device,
    externalId: id,
    content,
    metadata,
    sentAt: null,
    maxWaiting: services.config.maxWaitingMessages,
    ...(await countMessage(services, device, frame)),
  };
  const since = performance.now();
  let accepted: AcceptedDevice | undefined;
  try {
    [accepted] = await receive(services, [message], frame);
  } catch (error) {
    // only here is it sure that nobody else answers: once it is stored, it will be
    const isAway = error instanceof BatonError && error.code === 'storage_unavailable';
    if (!isAway || !services.config.statelessFallback) throw error;
    return answerAlone(services, device, id, content);
  }
  if (accepted === undefined) throw new Error('ACCEPT lost a message');
  noteRate(services, accepted, frame);
  unlessRefused(accepted);
  // of the device whose conversation it is: that of another, where this one was linked to it
  const place = { device: accepted.device, channel: WEB, account: device };
  const question = { ...place, messageId: id, accepted, since };
  const answer = await ask(services, question, frame, keep);
  return answer === null
    ? { kind: 'queued', messageId: id }
    : { kind: 'answered', messageId: id, persisted: true, ...answer };
}

/** The manager, in the place of everybody it would hand over to: what they ask for, nobody could remember. */
const away = defineAgent({
  key: MANAGER,
  description: 'Answers for all agents while nothing can be stored',
  answer(turn) {
    turn.reply('I cannot look into that right now. Please try again in a few minutes.');
  },
});

/** The manager on its own: it knows nothing of before, and nobody will remember. */
async function answerAlone(
  { registry, config }: TurnServices,
  device: DeviceId,
  id: string,
  content: string,
): Promise<WebAnswer> {
  log('warn', 'answered_without_storage', { device_id: device });
  const now = new Date();
  const alone = { ...registry, find: () => away };
  const turn = {
    device,
    fence: '0' as Fence,
    expiresAt: now,
    sessionId: '',
    channel: WEB,
    account: device,
    address: {},
    lock: null,
    state: {},
    stateVersion: null,
    messages: [
      {
        id: '0',
        messageId: null,
        role: 'user' as const,
        content,
        agent: null,
        metadata: {},
        sentAt: now,
        createdAt: now,
      },
    ],
    history: [],
    replies: [],
  };
  const { replies } = await runAgents(
    turn,
    alone,
    config.defaultSessionTtl,
    AbortSignal.timeout(config.turnLease * 1_000),
  );
  return {
    kind: 'answered',
    messageId: id,
    persisted: false,
    sessionId: null,
    activeAgent: null,
    replies: replies.map((reply) => ({ ...reply, inReplyTo: [id] })),
  };
}
