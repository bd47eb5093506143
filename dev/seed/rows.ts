import type pg from 'pg';

/** Messages of a chat session, and chat sessions of a user: the same at every size, so that sizes can be compared. */
export const EACH = 20;
export const PER_USER = 50;

/** Chat sessions that one statement makes. */
const CHUNK = 250;

const words =
  'I would like to book change cancel an appointment invoice refund parcel order for my dog cat car Tuesday morning tomorrow at ten please thanks where is it when can you tell me about the price of and how long does it take again đặt lịch Straße mañana'.split(
    ' ',
  );

/**
 * Chat sessions that nobody had, with what was said in them, as a deployment would have stored it. Half of them live, the
 * others ended in the last twenty days; a tenth of the devices are held by an agent.
 *
 * @param from number of sessions there are already
 * @param to number of sessions there are to be
 * @param onMade told how many messages were made since the last time
 */
export async function seed(
  client: pg.Client,
  from: number,
  to: number,
  onMade: (messages: number) => void,
): Promise<void> {
  for (let next = from; next < to; next += CHUNK) {
    const last = Math.min(to, next + CHUNK) - 1;
    await client.query(
      `WITH made AS MATERIALIZED (
         SELECT g, gen_random_uuid() AS session_id, gen_random_uuid() AS device_id,
           now() - CASE WHEN g % 2 = 0 THEN random() * interval '50 minutes' ELSE interval '2 hours' + random() * interval '20 days' END AS at
         FROM generate_series($1::int, $2::int) g),
       said AS MATERIALIZED (
         SELECT m.*, k, (
           SELECT string_agg(($3::text[])[1 + abs(hashint8(m.g * 1000::bigint + k * 20 + w)) % cardinality($3::text[])], ' ')
           FROM generate_series(1, 8 + (m.g + k) % 8) w) AS content
         FROM made m, generate_series(1, ${EACH}) k),
       states AS (
         INSERT INTO conversation_states (device_id, last_seq, active_agent, locked_at, lock_expires_at, lock_version, session_id, session_expires_at)
         SELECT m.device_id, ${EACH}, l.agent, l.at, l.at + interval '1 day', nextval('baton_versions'), m.session_id, m.at + interval '1 hour'
         FROM made m LEFT JOIN LATERAL (SELECT 'billing' AS agent, m.at WHERE m.g % 10 = 0) l ON true),
       sessions AS (
         INSERT INTO chat_sessions (session_id, device_id, user_id, channel, message_count, bytes, created_at, last_activity, expires_at)
         SELECT m.session_id, m.device_id, 'seed-' || m.g / ${PER_USER}, 'chat', ${EACH},
           (SELECT sum(octet_length(s.content)) FROM said s WHERE s.g = m.g), m.at - interval '10 minutes', m.at, m.at + interval '1 hour'
         FROM made m)
       INSERT INTO chat_messages (device_id, session_id, seq, role, content, agent, channel, account, lane, status, sent_at, created_at)
       SELECT s.device_id, s.session_id, s.k, q.role, s.content, CASE WHEN q.role = 'assistant' THEN 'billing' END, 'chat', s.session_id::text, 'builtin',
         CASE WHEN q.role = 'assistant' THEN 'sent' ELSE 'answered' END, q.at, q.at
       FROM said s, LATERAL (SELECT CASE WHEN s.k % 2 = 0 THEN 'assistant' ELSE 'user' END AS role, s.at - (${EACH} - s.k) * interval '20 s' AS at) q
       ORDER BY s.g, s.k`,
      [next, last, words],
    );
    onMade((last - next + 1) * EACH);
  }
}
