import type { Config } from '../../config.ts';
import type { JsonObject } from '../../json.ts';
import { log, logPrintedReply } from '../../log.ts';
import { richOf, toReply } from '../../replies.ts';
import type { Delivery, OutgoingReply } from '../../storage/storage.ts';
import type { Channel } from '../channel.ts';
import { splitReply, toBody } from './compose.ts';
import { OUTSIDE_WINDOW } from './errors.ts';
import { type Answer, ofAnswer, ofBrokenCall, type Outcome } from './outcome.ts';
import { createReceipts } from './receipt.ts';

/** Milliseconds for one call of the Graph API. */
const TIMEOUT = 10_000;

/** Replies over the Cloud API; where no access token is set they are printed instead, and stay in the history. */
export function createWhatsAppChannel({
  whatsapp,
  maxAttempts,
}: Pick<Config, 'whatsapp' | 'maxAttempts'>): Channel {
  const { accessToken, reopenTemplate } = whatsapp;
  if (accessToken === null) {
    return {
      split: splitReply,
      attend: () => () => {},
      send: (reply, { device }) => Promise.resolve(print(reply, device)),
    };
  }
  const post = createPost(whatsapp, accessToken);

  const attempt = async (
    reply: OutgoingReply,
    account: string,
    signal: AbortSignal,
  ): Promise<Outcome> => {
    const body = toBody(reply);
    if (body === null) return unsent(reply, 'no_recipient');
    if (!reply.inWindow && !isTemplate(reply)) return unsent(reply, OUTSIDE_WINDOW);
    try {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
      return ofAnswer(reply, await post(account, body, inTime), maxAttempts);
    } catch (error) {
      return { delivery: ofBrokenCall(reply, error), owner: false };
    }
  };

  return {
    split: splitReply,
    attend: createReceipts(post),
    async send(reply, { device, account }, signal) {
      const { delivery, owner } = await attempt(reply, account, signal);
      if (delivery.status === 'sent') return delivery;
      const { id, ...what } = delivery;
      log(owner ? 'error' : 'warn', 'reply_not_sent', { device_id: device, reply_id: id, ...what });
      // a template's own refusal is not answered by another template
      const reopens = delivery.error === OUTSIDE_WINDOW && !isTemplate(reply);
      return reopens && reopenTemplate !== null
        ? {
            ...delivery,
            instead: toReply({ kind: 'template', ...reopenTemplate }, {}, reply.agent),
          }
        : delivery;
    },
  };
}

const isTemplate = (reply: OutgoingReply) => richOf(reply).kind === 'template';

const unsent = ({ id }: OutgoingReply, error: string): Outcome => ({
  delivery: { id, status: 'failed', error },
  owner: false,
});

/** On the developer's screen, with what there is beside the text. */
function print(reply: OutgoingReply, device: string): Delivery {
  const { reply: rich } = reply.metadata;
  const shown = rich === undefined ? reply.content : `${reply.content} ${JSON.stringify(rich)}`;
  logPrintedReply({ channel: 'whatsapp', device_id: device, reply_id: reply.id }, shown.trim());
  return { id: reply.id, status: 'printed' };
}

/** @returns a call of POST /<phone number id>/messages; it rejects where no answer came */
function createPost({ apiUrl, apiVersion }: Config['whatsapp'], accessToken: string) {
  return async (account: string, body: JsonObject, signal: AbortSignal): Promise<Answer> => {
    const response = await fetch(
      `${apiUrl}/${apiVersion}/${encodeURIComponent(account)}/messages`,
      {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal,
        // the token goes nowhere else
        redirect: 'manual',
      },
    );
    const retryAfter = response.headers.get('retry-after');
    return { status: response.status, retryAfter, text: await response.text() };
  };
}
