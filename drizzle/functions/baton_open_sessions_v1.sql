-- Every device gets a running chat session: the one it has, its life started anew, or a new one where that is
-- over. The caller holds the state rows.
CREATE OR REPLACE FUNCTION baton_open_sessions_v1(p_devices uuid[], p_channel text, p_session_ttl int, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  WITH opened AS (
    UPDATE conversation_states s SET session_id = gen_random_uuid(), session_expires_at = p_now, updated_at = p_now
    WHERE s.device_id = ANY (p_devices) AND (s.session_id IS NULL OR s.session_expires_at <= p_now)
    RETURNING s.device_id, s.session_id)
  INSERT INTO chat_sessions (session_id, device_id, channel, created_at, last_activity, expires_at)
  SELECT o.session_id, o.device_id, p_channel, p_now, p_now, p_now FROM opened o;

  PERFORM baton_touch_sessions_v1(
    (SELECT array_agg(s.session_id) FROM conversation_states s WHERE s.device_id = ANY (p_devices)), p_session_ttl, p_now);
END $$;
