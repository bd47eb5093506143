import type { Kept } from './records.ts';

/**
 * Messages, and whether Redis would let go of them: what is not among the last of a session, but the last itself and
 * what is not out yet.
 *
 * @param which a condition
 * @param first number of the first parameter: messages and bytes that are kept, or null
 */
export const ranked = (which: string, first: number): string =>
  `(SELECT q.*, coalesce(q.seq IS NOT NULL AND q.status NOT IN ('pending', 'sending', 'unknown')
      AND (q.place > $${first}::int OR (q.place > 1 AND q.bytes > $${first + 1}::bigint)), false) AS is_over
    FROM (SELECT m.*, row_number() OVER w AS place,
        CASE WHEN $${first}::int IS NOT NULL THEN sum(baton_message_bytes_v1(m)) OVER w END AS bytes
      FROM chat_messages m WHERE ${which} WINDOW w AS (PARTITION BY m.session_id ORDER BY m.seq DESC NULLS LAST)) q)`;

/** The parameters that go with it. */
export const rankedBy = (kept: Kept | null): (number | null)[] =>
  kept === null ? [null, null] : [kept.messages, kept.bytes];
