/** Milliseconds a statement may take, whatever it carries. */
export const STATEMENT_MS = 5_000;
/** Bytes of parameters for which it may take a second more. */
const BYTES_PER_SECOND = 32_768;
const LONGEST_MS = 30_000;

/**
 * Milliseconds after which the database counts as away. What a statement carries gives it more time: a webhook body of a
 * thousand updates that a small, busy database does not store in five seconds would be sent again for days, in vain.
 *
 * @param statementMs for a statement without parameters
 */
export function patienceFor(bytes: number, statementMs: number): number {
  const more = Math.ceil((bytes / BYTES_PER_SECOND) * 1_000);
  return Math.max(statementMs, Math.min(statementMs + more, LONGEST_MS));
}
