-- A reply that could not go out freely is followed by another that may, once: not again before the person has
-- written. p_instead: {content, metadata, agent}; such rows carry "reopens" in their metadata. The caller holds the
-- device's state row.
CREATE OR REPLACE FUNCTION baton_send_instead_v1(p_failed chat_messages, p_instead jsonb, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_heard bigint := (
    SELECT m.seq FROM chat_messages m
    WHERE m.device_id = p_failed.device_id AND m.role = 'user' AND (m.channel, m.account) = (p_failed.channel, p_failed.account) AND m.seq IS NOT NULL
    ORDER BY m.seq DESC LIMIT 1);
  v_seq bigint;
BEGIN
  IF EXISTS (
    SELECT FROM chat_messages m
    WHERE m.device_id = p_failed.device_id AND m.seq > coalesce(v_heard, 0) AND m.role = 'assistant'
      AND (m.channel, m.account) = (p_failed.channel, p_failed.account) AND m.metadata @> '{"reopens": true}')
  THEN
    RETURN;
  END IF;
  UPDATE conversation_states c SET last_seq = c.last_seq + 1 WHERE c.device_id = p_failed.device_id RETURNING c.last_seq INTO v_seq;
  INSERT INTO chat_messages (device_id, session_id, seq, role, content, metadata, agent, channel, account, lane, address, status, answers,
    turn_fence, claim_expires_at, sent_at, created_at)
  VALUES (p_failed.device_id, p_failed.session_id, v_seq, 'assistant', p_instead ->> 'content',
    coalesce(p_instead -> 'metadata', '{}') || '{"reopens": true}', coalesce(p_instead ->> 'agent', p_failed.agent),
    p_failed.channel, p_failed.account, p_failed.lane, p_failed.address, 'pending', p_failed.answers,
    p_failed.turn_fence, p_now, p_now, p_now);
  UPDATE chat_sessions c SET message_count = c.message_count + 1, bytes = c.bytes + octet_length(p_instead ->> 'content')
  WHERE c.session_id = p_failed.session_id;
END $$;
