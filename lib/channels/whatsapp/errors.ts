/** What a refusal by the Graph API is followed by. */
export interface Refusal {
  /** What is kept with the reply: `outside_window`, or the code as `graph_<code>`. */
  name: string;
  /** Nothing gets better until somebody changes the account, the token or the template: log it as an error. */
  owner: boolean;
  /** Milliseconds until the next try; left out: there is none. */
  retryMs?: number;
  /** It passes with time alone, so that tries must not run out before: MAX_ATTEMPTS does not apply. */
  lasting?: true;
}

/** The person has not written for 24 hours: only a template reaches them. */
export const OUTSIDE_WINDOW = 'outside_window';

/** Seconds before the second try, the third, …; the last stands for all that follow. */
const WAITS = {
  soon: [1, 4, 16, 64],
  // Meta asks for 4^x seconds; a burst of 45 is paid back after 270, which 1 + 4 + 16 + 64 would not reach
  pair: [1, 4, 16, 64, 256],
  // the limits of an app and of an account are counted over an hour
  later: [300, 900, 3_600, 10_800],
} as const;

type Kind = keyof typeof WAITS | 'never' | 'owner';

/**
 * Every code Meta documents for sending, with its title, and a few that it no longer does; a code that stands here
 * has surely not led to a message, `131000` included. The waits of the pair limit are those Meta asks for beside it.
 * https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes (15 May 2026)
 */
const KINDS: Readonly<Record<number, Kind>> = {
  // authorization
  0: 'owner', // AuthException
  3: 'owner', // API method: capability or permission missing
  10: 'owner', // permission denied
  190: 'owner', // access token has expired
  131005: 'owner', // access denied

  // limits that pass
  4: 'later', // API too many calls: the app's, over an hour
  80007: 'later', // rate limit issues: the business account's
  130429: 'soon', // rate limit hit: messages per second
  131056: 'pair', // too many to this person: 45 at once, then one in 6 s
  131057: 'later', // account in maintenance mode, which takes minutes

  // limits that do not
  368: 'owner', // temporarily blocked for policy violations
  130497: 'owner', // restricted from messaging users in this country
  131031: 'owner', // account has been locked
  131048: 'owner', // spam rate limit: too many people blocked or reported this number
  131049: 'never', // kept back for healthy engagement: not again within 24 hours, when nobody waits for it any more
  130472: 'never', // the person's number is part of an experiment
  131050: 'never', // the person has stopped marketing messages

  // outages
  1: 'soon', // API unknown
  2: 'soon', // API service
  131000: 'soon', // something went wrong
  131016: 'soon', // service unavailable
  133004: 'soon', // server temporarily unavailable

  // the account
  33: 'owner', // the business phone number has been deleted
  100: 'owner', // invalid parameter: also what a token gets that may not use the number
  131037: 'owner', // display name approval is needed
  131042: 'owner', // business eligibility: payment issue
  131045: 'owner', // incorrect certificate: the number is not registered
  133010: 'owner', // phone number not registered
  134011: 'owner', // payments terms not accepted
  131030: 'owner', // a test number reaches only people on its list of five

  // the message or the person
  470: 'never', // message failed: 24 hours have passed (name before 131047)
  131001: 'never', // message too long
  131008: 'never', // required parameter is missing
  131009: 'never', // parameter value is not valid
  131021: 'never', // recipient cannot be sender
  131026: 'never', // message undeliverable
  131047: 'never', // re-engagement message: 24 hours have passed
  131051: 'never', // unsupported message type
  131052: 'never', // media download error
  131053: 'never', // media upload error
  135000: 'never', // generic user error: unknown parameters

  // templates
  132000: 'owner', // number of parameters does not match
  132001: 'owner', // template does not exist in this language, or is not approved
  132005: 'owner', // text too long once it is filled in
  132007: 'owner', // content violates a policy
  132012: 'owner', // parameter format does not match
  132015: 'owner', // paused for low quality
  132016: 'owner', // disabled for low quality
  132068: 'owner', // flow is blocked
  132069: 'later', // flow is throttled: ten messages an hour
  134101: 'later', // template is still being synchronised, for up to ten minutes
};

/** Permission missing: Meta names the range, not each code. */
const isPermission = (code: number) => code >= 200 && code <= 299;

/**
 * What follows a code of the Graph API, in the answer to a send or in a failed status.
 *
 * @param attempts tries so far, this one included. A status does not know: left out, the wait of a third try
 * @param transient the answer says of itself that it will pass (5xx, 429, `is_transient`); counts for unlisted codes
 */
export function afterRefusal(code: number, attempts = 3, transient = false): Refusal {
  const kind = isPermission(code) ? 'owner' : (KINDS[code] ?? (transient ? 'soon' : 'never'));
  const name = code === 131047 || code === 470 ? OUTSIDE_WINDOW : `graph_${code}`;
  if (kind === 'never' || kind === 'owner') return { name, owner: kind === 'owner' };
  const waits = WAITS[kind];
  const seconds = waits[Math.min(Math.max(attempts, 1), waits.length) - 1] ?? 0;
  const refusal = { name, owner: false, retryMs: seconds * 1_000 };
  return kind === 'soon' ? refusal : { ...refusal, lasting: true };
}
