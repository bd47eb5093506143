import * as z from 'zod/mini';
import { parseJson } from '../../json.ts';
import type { Delivery, OutgoingReply } from '../../storage/storage.ts';
import { afterRefusal, type Refusal } from './errors.ts';

/** What became of a send, and whether it takes the owner to make the next one succeed. */
export interface Outcome {
  delivery: Delivery;
  owner: boolean;
}

/** An answer of the Graph API, as far as it tells of the message. */
export interface Answer {
  status: number;
  retryAfter: string | null;
  text: string;
}

/** The most that a server may ask to be left alone for, in milliseconds: the window closes after a day anyway. */
const LONGEST_WAIT = 86_400_000;

/** How calls end that never reached anybody: the name is not found, nobody listens, no trust is made. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|UND_ERR_CONNECT_TIMEOUT|CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/;

/** Real ids have some 60 characters; what cannot be stored or indexed must not keep the outcome from being noted. */
const wamid = z.string().check(z.regex(/^[\x21-\x7e]{1,512}$/));
const sent = z.object({ messages: z.array(z.object({ id: wamid })) });
const refused = z.object({
  error: z.object({ code: z.number(), is_transient: z.optional(z.boolean()) }),
});

/**
 * What an answer says became of a reply. An error in Meta's own form is a refusal, whatever the status; a page of a
 * gateway is one only where the request itself was at fault. Everything else leaves open what happened behind it.
 */
export function ofAnswer(
  reply: Pick<OutgoingReply, 'id' | 'attempts'>,
  { status, retryAfter, text }: Answer,
  maxAttempts: number,
): Outcome {
  const { id } = reply;
  const answer = jsonOrNull(text);
  if (status >= 200 && status < 300) {
    const externalId = sent.safeParse(answer).data?.messages[0]?.id;
    const delivery: Delivery =
      externalId === undefined
        ? { id, status: 'unknown', error: 'no_message_id' }
        : { id, status: 'sent', externalId };
    return { delivery, owner: false };
  }
  const error = refused.safeParse(answer).data?.error;
  if (error !== undefined) {
    const transient = status >= 500 || status === 429 || error.is_transient === true;
    // past MAX_ATTEMPTS only what lasts is tried again, as seldom as it ever is
    const attempts = reply.attempts < maxAttempts ? reply.attempts : Infinity;
    const refusal = afterRefusal(error.code, attempts, transient);
    return ofRefusal(reply, refusal, retryAfter, maxAttempts);
  }
  if (status === 429) return ofRefusal(reply, soon(reply, 'http_429'), retryAfter, maxAttempts);
  if (status >= 300 && status < 500 && status !== 408)
    return { delivery: { id, status: 'failed', error: `http_${status}` }, owner: true };
  return { delivery: { id, status: 'unknown', error: `http_${status}` }, owner: false };
}

/** A call that got no answer: one that was never made has sent nothing, any other end leaves it open. */
export function ofBrokenCall(
  reply: Pick<OutgoingReply, 'id' | 'attempts'>,
  error: unknown,
): Delivery {
  const cause = error instanceof Error ? error.cause : undefined;
  const code =
    cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
      ? cause.code
      : 'no_answer';
  if (!NEVER_SENT.test(code)) return { id: reply.id, status: 'unknown', error: code };
  const { name, retryMs = 0 } = soon(reply, code);
  return { id: reply.id, status: 'pending', error: name, retryMs };
}

/** A failure without a code of Meta's that passes like an outage does. */
const soon = ({ attempts }: Pick<OutgoingReply, 'attempts'>, name: string): Refusal => ({
  ...afterRefusal(131016, attempts),
  name,
});

function ofRefusal(
  { id, attempts }: Pick<OutgoingReply, 'id' | 'attempts'>,
  { name: error, owner, retryMs, lasting }: Refusal,
  retryAfter: string | null,
  maxAttempts: number,
): Outcome {
  if (retryMs === undefined) return { delivery: { id, status: 'failed', error }, owner };
  const delivery: Delivery = {
    id,
    status: 'pending',
    error,
    retryMs: Math.max(retryMs, parseRetryAfter(retryAfter)),
    ...(lasting === true && attempts >= maxAttempts && { untried: true }),
  };
  return { delivery, owner };
}

/** Milliseconds that a Retry-After asks for, in seconds or as a date; 0 for none, or one that makes no sense. */
function parseRetryAfter(value: string | null): number {
  if (value === null || value.trim() === '') return 0;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(Math.ceil(ms), 0), LONGEST_WAIT) : 0;
}

function jsonOrNull(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}
