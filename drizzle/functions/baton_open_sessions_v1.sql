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

  WITH touched AS (
    UPDATE chat_sessions c SET last_activity = p_now, expires_at = p_now + coalesce(c.ttl, p_session_ttl) * interval '1 s'
    FROM conversation_states s WHERE s.device_id = ANY (p_devices) AND c.session_id = s.session_id
    RETURNING c.device_id, c.expires_at)
  UPDATE conversation_states s SET session_expires_at = t.expires_at, updated_at = p_now
  FROM touched t WHERE s.device_id = t.device_id;
END $$;
