-- How many chat sessions are kept, and how large they are; from chat_sessions_living alone, without its rows.
CREATE OR REPLACE FUNCTION baton_session_figures_v1(p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  RETURN (
    SELECT jsonb_build_object(
      'active', count(*) FILTER (WHERE c.expires_at > p_now AND NOT c.complete),
      'complete', count(*) FILTER (WHERE c.expires_at > p_now AND c.complete),
      'expired', count(*) FILTER (WHERE c.expires_at <= p_now),
      'average_bytes', coalesce(round(avg(c.bytes)), 0),
      'largest_bytes', coalesce(max(c.bytes), 0),
      'over_1mb', count(*) FILTER (WHERE c.bytes > 1048576))
    FROM chat_sessions c);
END $$;
