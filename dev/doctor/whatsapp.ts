import * as z from 'zod/mini';
import type { Config } from '../../lib/config.ts';
import { codeOf, type Finding, note, ok, patienceMs, since, todo } from './finding.ts';

type WhatsApp = Config['whatsapp'];

const refused = z.object({ error: z.object({ code: z.number() }) });

/** https://developers.facebook.com/docs/graph-api/guides/error-handling */
const advice: Readonly<Record<number, string>> = {
  10: 'the token may not use WhatsApp: give its system user the permission whatsapp_business_messaging',
  100: 'the token does not see it: assign the number to the token’s system user',
  190: 'the token has run out or was revoked: make a new one for a system user',
  200: 'the token may not use WhatsApp: give its system user the permission whatsapp_business_messaging',
};

/** Meta's settings go together, its token is asked for what it may see, and nothing is sent. */
export async function checkWhatsApp({ whatsapp }: Config): Promise<Finding[]> {
  const { accessToken, appSecrets, verifyTokens, phoneNumberIds } = whatsapp;
  const all = accessToken !== null && appSecrets.length > 0 && verifyTokens.length > 0;
  if (accessToken === null && appSecrets.length === 0 && verifyTokens.length === 0) {
    return [note('whatsapp', 'not set up')];
  }
  const settings = [
    ...(verifyTokens.length === 0
      ? ['WHATSAPP_VERIFY_TOKEN is not set: Meta cannot verify the callback URL']
      : []),
    ...(appSecrets.length === 0
      ? ['WHATSAPP_APP_SECRET is not set: every webhook is refused']
      : []),
    ...(accessToken === null
      ? ['WHATSAPP_ACCESS_TOKEN is not set: replies are stored, not sent']
      : []),
  ].map((text) => todo('whatsapp', text));
  if (accessToken === null) return settings;
  const asked =
    phoneNumberIds.length === 0
      ? [ask(whatsapp, accessToken, 'me', 'the token')]
      : phoneNumberIds.map((id) => ask(whatsapp, accessToken, id, `number ${id}`));
  return [...(all ? [] : settings), ...(await Promise.all(asked))];
}

async function ask(
  { apiUrl, apiVersion }: WhatsApp,
  token: string,
  id: string,
  what: string,
): Promise<Finding> {
  const started = performance.now();
  try {
    const response = await fetch(`${apiUrl}/${apiVersion}/${encodeURIComponent(id)}?fields=id`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(patienceMs),
      redirect: 'error',
    });
    const body: unknown = await response.json().catch(() => null);
    if (response.ok) return ok('whatsapp', `Meta knows ${what}, ${since(started)}`);
    const code = refused.safeParse(body).data?.error.code;
    const told = code === undefined ? `HTTP ${response.status}` : `error ${code}`;
    const next = advice[code ?? -1] ?? 'see to WHATSAPP_ACCESS_TOKEN and WHATSAPP_PHONE_NUMBER_IDS';
    return todo('whatsapp', `Meta refuses ${what} (${told}): ${next}`);
  } catch (error) {
    return todo(
      'whatsapp',
      `${new URL(apiUrl).host} does not answer (${codeOf(error)}): try again`,
    );
  }
}
