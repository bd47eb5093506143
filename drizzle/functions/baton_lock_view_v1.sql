-- The lock as a reader may see it at p_now: past its end it does not exist, cleaned up or not.
CREATE OR REPLACE FUNCTION baton_lock_view_v1(p_state conversation_states, p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN p_state.active_agent IS NOT NULL AND p_state.lock_expires_at > p_now THEN jsonb_build_object(
    'agent', p_state.active_agent,
    'locked_at', p_state.locked_at,
    'expires_at', p_state.lock_expires_at,
    'session_ttl', p_state.session_ttl,
    'version', p_state.lock_version::text) END
$$;
