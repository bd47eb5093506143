import { createHash } from 'node:crypto';
import type { DeviceId } from '../../lib/storage/storage.ts';

// Many devices at once, written past the storage: each with a session, a phone number and a user id on WhatsApp, one message
// that came in, its answer, and some of them with a message that waits, a reply that is due, or a lock.

/** A UUID that is the same for the same word: MD5 with the version and the variant of one. */
function uuidOf(word: string): string {
  const hex = createHash('md5').update(word).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
  ];
  return [...parts, hex.slice(20)].join('-');
}

export const deviceOf = (i: number) => uuidOf(`device ${i}`) as DeviceId;
export const sessionOf = (i: number) => uuidOf(`session ${i}`);
export const phoneOf = (i: number) => `1${i}`;
export const userIdOf = (i: number) => `U${i}`;
/** The id of the message that came in, and of its answer. */
export const askedOf = (i: number) => `asked ${i}`;
export const answerOf = (i: number) => `answer ${i}`;
/** The business's own number. */
export const ACCOUNT = '200000000000001';

/** Statements that make the devices 0 to `size - 1`. */
export const crowd = (size: number): string => `
CREATE FUNCTION uuid_of(word text) RETURNS uuid LANGUAGE sql AS $$
  SELECT overlay(overlay(md5(word) placing '4' from 13 for 1) placing 'a' from 17 for 1)::uuid $$;
CREATE TABLE crowd AS
  SELECT i, uuid_of('device ' || i) AS device, uuid_of('session ' || i) AS session FROM generate_series(0, ${size - 1}) i;
INSERT INTO conversation_states (device_id, session_id, session_expires_at, last_seq, active_agent, lock_version, locked_at, lock_expires_at)
  SELECT device, session, now() + interval '1 hour', 3, 'x', nextval('baton_versions'), now(),
    now() + CASE WHEN i % 3 = 0 THEN -1 ELSE 1 END * interval '1 hour' FROM crowd;
INSERT INTO chat_sessions (session_id, device_id, user_id, channel, message_count, last_activity, expires_at)
  SELECT session, device, 'user ' || i % 500, 'chat', 3, now(), now() + interval '1 hour' FROM crowd;
INSERT INTO channel_identities (channel, account, kind, value, device_id, checked_at)
  SELECT 'whatsapp', '${ACCOUNT}', 'phone', '1' || i, device, now() - interval '40 days' FROM crowd
  UNION ALL SELECT 'whatsapp', '${ACCOUNT}', 'user_id', 'U' || i, device, now() - interval '40 days' FROM crowd
  UNION ALL SELECT 'chat', device::text, 'user', 'user ' || i % 500, device, now() FROM crowd;
INSERT INTO chat_messages (device_id, session_id, seq, role, content, channel, account, lane, status, external_id, dedupe_key, address,
    claim_expires_at, sent_at, created_at)
  SELECT c.device, c.session, m.seq, m.role, 'hello ' || c.i, 'whatsapp', '${ACCOUNT}', 'builtin', m.status, m.external_id || c.i,
    CASE WHEN m.role = 'user' THEN baton_dedupe_key_v1('whatsapp', '${ACCOUNT}', m.external_id || c.i) END, '{"phone": "1"}',
    CASE WHEN m.status = 'pending' THEN now() - interval '1 s' END, now(), now()
  FROM crowd c, LATERAL (VALUES
    (true, 1, 'user', CASE WHEN c.i % 10 = 5 THEN 'failed' ELSE 'answered' END, 'asked '),
    (true, 2, 'assistant', 'sent', 'answer '),
    (c.i % 4 = 1, 3, 'assistant', 'pending', NULL),
    (c.i % 2 = 0, NULL, 'user', 'waiting', 'waiting ')) AS m (exists, seq, role, status, external_id)
  WHERE m.exists ORDER BY c.i, m.seq;
INSERT INTO lock_events (device_id, agent, started_at, ended_at, reason)
  SELECT device, 'x', now() - interval '40 days', now() - interval '35 days', 'cleared' FROM crowd;
INSERT INTO link_codes (code_key, device_id, expires_at)
  SELECT baton_link_key_v1(i::text), device, now() - interval '2 days' FROM crowd WHERE i > 100`;
