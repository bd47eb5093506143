import { receiveWebhook } from '../../lib/channels/whatsapp/receive.ts';
import { isSigned } from '../../lib/channels/whatsapp/signature.ts';
import { BatonError } from '../../lib/errors.ts';
import { parseObject, readBytes, WEBHOOK_LIMIT } from '../../lib/http/body.ts';
import { json, route } from '../../lib/http/route.ts';
import { matchesAny } from '../../lib/secrets.ts';

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route('/api/webhooks/whatsapp', {
  /** Meta asks once, when the callback URL is entered, and wants its challenge back as it was. */
  async GET({ app, url }) {
    const challenge = url.searchParams.get('hub.challenge');
    const token = url.searchParams.get('hub.verify_token') ?? '';
    const known = matchesAny(token, app.config.whatsapp.verifyTokens);
    if (!known || challenge === null || url.searchParams.get('hub.mode') !== 'subscribe') {
      throw new BatonError(
        'forbidden',
        'hub.verify_token is not WHATSAPP_VERIFY_TOKEN: set both to the same, and let Meta verify again',
      );
    }
    return new Response(challenge, {
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        'x-content-type-options': 'nosniff',
      },
    });
  },

  /** Anything signed is answered 200 once it is stored: another status only makes Meta send it again for days. */
  async POST({ app, request, frame, keep }) {
    const bytes = await readBytes(request, WEBHOOK_LIMIT);
    if (
      !isSigned(bytes, request.headers.get('x-hub-signature-256'), app.config.whatsapp.appSecrets)
    ) {
      throw new BatonError(
        'unauthorized',
        'X-Hub-Signature-256 does not fit the body: see that WHATSAPP_APP_SECRET is the app’s',
      );
    }
    const received = await receiveWebhook(app, parseObject(bytes), frame, keep);
    return json(200, { received: received.messages });
  },
});
