-- What is stored about a device, as of one moment (STABLE: every part of it is read from the caller's snapshot). No row
-- where nothing is, also where everything was erased since. p_user: of its chat sessions only this user's; null: all. The last p_limit sessions and holdings.
CREATE OR REPLACE FUNCTION baton_device_v1(p_device uuid, p_user text, p_limit int)
RETURNS TABLE (now timestamptz, created_at timestamptz, updated_at timestamptz, lock jsonb, state jsonb, messages jsonb,
  session_count int, sessions jsonb, events jsonb)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  s conversation_states;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  now := baton_now_v1();
  created_at := s.created_at;
  updated_at := greatest(s.updated_at, s.state_updated_at);
  lock := baton_lock_view_v1(s, now);
  IF s.state IS NOT NULL THEN
    state := jsonb_build_object('version', s.state_version::text, 'bytes', baton_json_bytes_v1(s.state), 'updated_at', s.state_updated_at);
  END IF;
  SELECT jsonb_build_object(
      'user', count(*) FILTER (WHERE m.role = 'user'),
      'assistant', count(*) FILTER (WHERE m.role = 'assistant'),
      'waiting', count(*) FILTER (WHERE m.status = 'waiting'),
      'failed', count(*) FILTER (WHERE m.status = 'failed' AND m.role = 'user'))
  INTO messages FROM chat_messages m WHERE m.device_id = p_device AND m.status <> 'erased';
  SELECT count(*) INTO session_count FROM chat_sessions c WHERE c.device_id = p_device AND (p_user IS NULL OR c.user_id = p_user);
  SELECT jsonb_agg(baton_session_view_v1(q.c, false) ORDER BY (q.c).last_activity DESC, (q.c).session_id DESC) INTO sessions FROM (
    SELECT c FROM chat_sessions c WHERE c.device_id = p_device AND (p_user IS NULL OR c.user_id = p_user)
    ORDER BY c.last_activity DESC, c.session_id DESC LIMIT p_limit) q;
  SELECT jsonb_agg(jsonb_build_object('agent', q.agent, 'from', q.started_at, 'to', q.ended_at, 'reason', q.reason) ORDER BY q.id DESC)
  INTO events FROM (
    -- a lapsed holding is noted by whoever comes next; until then it stands in the row alone
    SELECT 9223372036854775807 AS id, s.active_agent AS agent, s.locked_at AS started_at, s.lock_expires_at AS ended_at, 'expired' AS reason
    WHERE s.active_agent IS NOT NULL AND lock IS NULL
    UNION ALL
    (SELECT e.id, e.agent, e.started_at, e.ended_at, e.reason FROM lock_events e WHERE e.device_id = p_device ORDER BY e.id DESC LIMIT p_limit)
    ORDER BY id DESC LIMIT p_limit) q;
  IF s.erased_at IS NULL OR lock IS NOT NULL OR state IS NOT NULL OR sessions IS NOT NULL OR events IS NOT NULL
    OR EXISTS (SELECT FROM chat_messages m WHERE m.device_id = p_device AND m.status <> 'erased')
    OR EXISTS (SELECT FROM chat_sessions c WHERE c.device_id = p_device) THEN
    RETURN NEXT;
  END IF;
END $$;
