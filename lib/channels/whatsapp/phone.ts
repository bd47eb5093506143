/**
 * Countries where one line has two spellings on WhatsApp, folded to the shorter: Mexico's `1` and Argentina's `9`
 * before mobile numbers, and Brazil's ninth digit, which accounts older than it do without.
 * Mexico: https://github.com/chatwoot/chatwoot/issues/14048
 * Argentina and Brazil: https://github.com/chatwoot/chatwoot/pull/12655
 * All three: https://support.whapi.cloud/help-desk/faq/specifics-of-sending-messages-to-numbers-of-different-countries
 *
 * A Brazilian mobile number without its ninth digit can look like a landline's. Two people behind one key still
 * stay two wherever Meta names their user ids, as it has on every message since April 2026.
 */
const FOLDS: readonly [RegExp, string][] = [
  [/^521(\d{10})$/, '52$1'],
  [/^549(\d{10})$/, '54$1'],
  [/^55(\d{2})9(\d{8})$/, '55$1$2'],
];

/** E.164 allows 15 digits; with separators a number is still no longer than this. */
const MAX_DIGITS = 20;
const MAX_WRITTEN = 40;

/**
 * What the spellings of one number have in common: its digits, folded. For matching only; where replies go is the
 * number as Meta wrote it.
 *
 * @returns null for what is no phone number
 */
export function phoneKey(written: string): string | null {
  if (written.length > MAX_WRITTEN || /\p{L}/u.test(written)) return null;
  const digits = written.replace(/\D/g, '');
  if (digits === '' || digits.length > MAX_DIGITS) return null;
  const fold = FOLDS.find(([pattern]) => pattern.test(digits));
  return fold === undefined ? digits : digits.replace(...fold);
}
