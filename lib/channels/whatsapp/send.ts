import * as z from 'zod/mini';
import type { Config } from '../../config.ts';
import { log, logPrintedReply } from '../../log.ts';
import type { Delivery, OutgoingReply } from '../../storage/storage.ts';
import type { Channel } from '../channel.ts';

/** Milliseconds for one call of the Graph API. */
const TIMEOUT = 10_000;

/**
 * Error codes after which Meta has surely not taken the message and a later try may succeed: application and
 * business rate limits, throughput, pair rate, temporary outages.
 * https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes
 */
const TEMPORARY = new Set([2, 4, 80007, 130429, 131000, 131016, 131056]);

const sent = z.object({ messages: z.array(z.object({ id: z.string() })) });
const refused = z.object({ error: z.object({ code: z.number() }) });

/** Replies over the Cloud API; where no access token is set they are printed instead, and stay in the history. */
export function createWhatsAppChannel(config: Config['whatsapp']): Channel {
  const { accessToken } = config;
  if (accessToken === null)
    return { send: (reply, { device }) => Promise.resolve(print(reply, device)) };
  return {
    async send(reply, destination, signal) {
      const body = toBody(reply);
      if (body === null) return { id: reply.id, status: 'failed', error: 'no_recipient' };
      const url = `${config.apiUrl}/${config.apiVersion}/${encodeURIComponent(destination.account)}/messages`;
      try {
        const response = await fetch(url, {
          method: 'POST',
          headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
          signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
          redirect: 'error',
        });
        const delivery = toDelivery(reply, response.status, await response.text());
        if (delivery.status !== 'sent')
          log('warn', 'reply_not_sent', {
            device_id: destination.device,
            reply_id: reply.id,
            ...delivery,
          });
        return delivery;
      } catch (error) {
        const delivery = ofBrokenCall(reply, error);
        log('warn', 'reply_not_sent', {
          device_id: destination.device,
          reply_id: reply.id,
          ...delivery,
        });
        return delivery;
      }
    },
  };
}

function print(reply: OutgoingReply, device: string): Delivery {
  logPrintedReply({ channel: 'whatsapp', device_id: device, reply_id: reply.id }, reply.content);
  return { id: reply.id, status: 'printed' };
}

/** A phone number goes into `to`, a user id into `recipient`; the reply's id comes back with every status. */
function toBody(reply: OutgoingReply): object | null {
  const { phone, user_id: userId } = reply.address;
  if (phone === undefined && userId === undefined) return null;
  return {
    messaging_product: 'whatsapp',
    recipient_type: 'individual',
    ...(phone !== undefined ? { to: phone } : { recipient: userId }),
    type: 'text',
    text: { body: reply.content, preview_url: false },
    biz_opaque_callback_data: reply.id,
  };
}

function toDelivery(reply: OutgoingReply, status: number, text: string): Delivery {
  const { id, attempts } = reply;
  const answer = parseJson(text);
  if (status >= 200 && status < 300) {
    const externalId = sent.safeParse(answer).data?.messages[0]?.id;
    return externalId === undefined
      ? { id, status: 'unknown', error: 'no_message_id' }
      : { id, status: 'sent', externalId };
  }
  const code = refused.safeParse(answer).data?.error.code;
  // a gateway's page says nothing about what happened behind it
  if (code === undefined) return { id, status: 'unknown', error: `http_${status}` };
  const error = `graph_${code}`;
  return TEMPORARY.has(code)
    ? { id, status: 'pending', error, retryMs: 1_000 * 4 ** (attempts - 1) }
    : { id, status: 'failed', error };
}

/** A connection that was never made has sent nothing; any other end leaves it open. */
function ofBrokenCall({ id, attempts }: OutgoingReply, error: unknown): Delivery {
  const cause = error instanceof Error ? error.cause : undefined;
  const code =
    cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
      ? cause.code
      : 'no_answer';
  if (['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'].includes(code)) {
    return { id, status: 'pending', error: code, retryMs: 1_000 * 4 ** (attempts - 1) };
  }
  return { id, status: 'unknown', error: code };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
