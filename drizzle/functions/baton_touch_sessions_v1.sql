-- Starts the life of these chat sessions anew; where one is its device's current session, the device knows of it. The
-- caller holds the state rows.
CREATE OR REPLACE FUNCTION baton_touch_sessions_v1(p_sessions uuid[], p_session_ttl int, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    UPDATE chat_sessions c SET last_activity = p_now, expires_at = p_now + coalesce(c.ttl, p_session_ttl) * interval '1 s'
    WHERE c.session_id = ANY (p_sessions)
    RETURNING c.device_id, c.session_id, c.expires_at
  LOOP
    UPDATE conversation_states s SET session_expires_at = t.expires_at, updated_at = p_now
    WHERE s.device_id = t.device_id AND s.session_id = t.session_id;
  END LOOP;
END $$;
