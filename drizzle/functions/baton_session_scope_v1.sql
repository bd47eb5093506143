-- The chat sessions of a user, of a device, of both at once, or of everybody (both null): those that live at p_now, or
-- all of them. p_active: only the ones that are (or are not) both alive and not complete. By branches, because each
-- has an index of its own and one statement for all would be planned for none. STABLE: it sees what the calling
-- statement sees, or a session could be counted there and not be found.
CREATE OR REPLACE FUNCTION baton_session_scope_v1(p_user text, p_device uuid, p_active boolean, p_expired boolean, p_now timestamptz)
RETURNS TABLE (session_id uuid, created_at timestamptz, last_activity timestamptz, expires_at timestamptz)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_since timestamptz := CASE WHEN p_expired THEN '-infinity' ELSE p_now END;
BEGIN
  IF p_user IS NOT NULL THEN
    RETURN QUERY SELECT c.session_id, c.created_at, c.last_activity, c.expires_at FROM chat_sessions c
    WHERE c.user_id = p_user AND c.expires_at > v_since AND (p_device IS NULL OR c.device_id = p_device)
      AND (p_active IS NULL OR p_active = (c.expires_at > p_now AND NOT c.complete));
  ELSIF p_device IS NOT NULL THEN
    RETURN QUERY SELECT c.session_id, c.created_at, c.last_activity, c.expires_at FROM chat_sessions c
    WHERE c.device_id = p_device AND c.expires_at > v_since
      AND (p_active IS NULL OR p_active = (c.expires_at > p_now AND NOT c.complete));
  ELSE
    RETURN QUERY SELECT c.session_id, c.created_at, c.last_activity, c.expires_at FROM chat_sessions c
    WHERE c.expires_at > v_since
      AND (p_active IS NULL OR p_active = (c.expires_at > p_now AND NOT c.complete));
  END IF;
END $$;
