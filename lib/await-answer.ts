import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { sessionNotFound } from './limits.ts';
import type { Frame } from './frame.ts';
import { describeError, log } from './log.ts';
import type { AcceptedDevice, Answer, DeviceId, Turn } from './storage/storage.ts';
import { type Committed, type Held, takeTurn, type TurnServices, work } from './turn.ts';

/** Milliseconds between two looks at a turn that another request holds; each look waits half as long again. */
const FIRST_LOOK = 40;
const LONGEST_LOOK = 500;

/** A caller that reads its answer from the response: the web webhook, the chat API. */
export interface Question {
  device: DeviceId;
  channel: string;
  account: string;
  messageId: string;
  /** What ACCEPT said of it, and performance.now() before that call. */
  accepted: AcceptedDevice;
  since: number;
}

export interface QuestionAnswer {
  sessionId: string;
  /** What was asked, as it was stored. */
  text: string;
  activeAgent: string | null;
  replies: { content: string; agent: string | null; metadata: JsonObject; inReplyTo: string[] }[];
}

/**
 * Answers a stored question if its turn was free, else waits for whoever holds the turn to answer it. Asked again,
 * it gives the first answer and runs nothing.
 *
 * @param keep lets work that outlives the answer (messages of others that came in meanwhile) go on
 * @returns null when the wait is over before the answer is there: the message is stored, and will be answered
 * @throws {BatonError} `agent_failed` once the message was set aside, `session_not_found` once it was deleted,
 *   `storage_unavailable`
 */
export async function ask(
  services: TurnServices,
  question: Question,
  frame: Frame,
  keep: (work: Promise<unknown>) => void,
): Promise<QuestionAnswer | null> {
  const patience = performance.now() + services.config.replyWait * 1_000;
  const { accepted, since } = question;
  const mine = accepted.messages[0];
  if (mine === undefined) throw new Error('ACCEPT lost a message');
  if (accepted.turn !== null) {
    const held = { turn: accepted.turn, since };
    const answer = await workFor(services, mine.id, held, frame, keep);
    if (answer !== null) return answer;
  }

  for (let wait = FIRST_LOOK; ; wait = Math.min(wait * 1.5, LONGEST_LOOK)) {
    const seen = await services.storage.readAnswer(
      question.device,
      question.channel,
      question.messageId,
      question.account,
    );
    const answer = toAnswer(seen, question.messageId);
    if (answer !== null) return answer;
    if (seen.free) {
      const held = await takeTurn(services, question.device, frame);
      const own = held && (await workFor(services, mine.id, held, frame, keep));
      if (own != null) return own;
    }
    if (performance.now() + wait > patience) return null;
    await sleep(wait);
  }
}

/**
 * Works on a turn until the question is answered, or the agents fail; the rest of the work, further tries
 * included, goes on behind the caller's back.
 */
async function workFor(
  services: TurnServices,
  id: string,
  held: Held,
  frame: Frame,
  keep: (work: Promise<unknown>) => void,
): Promise<QuestionAnswer | null> {
  const own = Promise.withResolvers<QuestionAnswer | null>();
  const done = work(services, held, frame, {
    committed(commit, turn) {
      if (commit.answered.some((message) => message.id === id))
        own.resolve(ofCommit(commit, turn, id));
    },
    failed: () => own.resolve(null),
  });
  // to the caller it matters only until its own answer is there
  keep(
    done.catch((error: unknown) =>
      log('error', 'turn_broke_off', { device_id: held.turn.device, ...describeError(error) }),
    ),
  );
  done.then(() => own.resolve(null), own.reject);
  return own.promise;
}

/** @param turn the one that answered: where more waited, not the one the caller took, but one that followed */
function ofCommit(commit: Committed, turn: Turn, id: string): QuestionAnswer {
  return {
    sessionId: commit.sessionId ?? turn.sessionId,
    text: turn.messages.find((message) => message.id === id)?.content ?? '',
    activeAgent: commit.lock?.agent ?? null,
    replies: commit.replies.map(({ content, agent, metadata }) => ({
      content,
      agent,
      metadata,
      inReplyTo: commit.answered.flatMap(({ messageId }) => messageId ?? []),
    })),
  };
}

/** null: not yet. */
function toAnswer({ message, replies }: Answer, messageId: string): QuestionAnswer | null {
  if (message === null || message.status === 'waiting') return null;
  if (message.status === 'erased') throw sessionNotFound();
  if (message.status === 'failed') {
    throw new BatonError(
      'agent_failed',
      'The agents failed on this message too often; it was set aside: ask the operator to retry it',
    );
  }
  return {
    sessionId: message.sessionId,
    text: message.content,
    activeAgent: message.holder,
    replies: replies.map(({ content, agent, metadata, answers }) => ({
      content,
      agent,
      metadata,
      inReplyTo: answers.length > 0 ? answers : [messageId],
    })),
  };
}
