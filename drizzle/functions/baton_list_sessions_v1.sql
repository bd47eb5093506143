-- A page of the chat sessions of a scope (as in baton_session_scope_v1), the latest activity first, behind p_time_after
-- and p_session_after. One more than p_limit where others follow. total: of all pages.
CREATE OR REPLACE FUNCTION baton_list_sessions_v1(
  p_user text, p_device uuid, p_active boolean, p_expired boolean, p_time_after timestamptz, p_session_after uuid, p_limit int
) RETURNS TABLE (now timestamptz, total int, sessions jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  now := baton_now_v1();
  WITH scope AS MATERIALIZED (
    SELECT * FROM baton_session_scope_v1(p_user, p_device, p_active, p_expired, now)),
  page AS (
    SELECT s.session_id FROM scope s
    WHERE p_session_after IS NULL OR (s.last_activity, s.session_id) < (p_time_after, p_session_after)
    ORDER BY s.last_activity DESC, s.session_id DESC LIMIT p_limit + 1)
  SELECT (SELECT count(*) FROM scope),
    (SELECT jsonb_agg(baton_session_view_v1(c, false) ORDER BY c.last_activity DESC, c.session_id DESC)
     FROM page p JOIN LATERAL (SELECT * FROM chat_sessions s WHERE s.session_id = p.session_id OFFSET 0) c ON true)
  INTO total, sessions;
  RETURN NEXT;
END $$;
