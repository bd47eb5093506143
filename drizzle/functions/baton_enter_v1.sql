-- Enters messages of one device into its history without a turn: p_holder, if anybody, holds the conversation.
-- The caller holds the device's state row.
CREATE OR REPLACE FUNCTION baton_enter_v1(p_device uuid, p_ids bigint[], p_holder text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE chat_messages m SET status = 'recorded', holder = p_holder, seq = s.last_seq + q.place
  FROM conversation_states s,
    (SELECT w.id, row_number() OVER (ORDER BY w.sent_at, w.id) AS place FROM chat_messages w WHERE w.id = ANY (p_ids)) q
  WHERE s.device_id = p_device AND m.id = q.id;
  UPDATE conversation_states s SET last_seq = s.last_seq + cardinality(p_ids), updated_at = p_now WHERE s.device_id = p_device;
  UPDATE chat_sessions c SET message_count = c.message_count + q.n, bytes = c.bytes + q.bytes, last_activity = p_now
  FROM (SELECT m.session_id, count(*)::int AS n, sum(octet_length(m.content)) AS bytes FROM chat_messages m WHERE m.id = ANY (p_ids) GROUP BY m.session_id) q
  WHERE c.session_id = q.session_id;
END $$;
