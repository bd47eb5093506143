-- The chat sessions of a scope (a user's, a device's) in which a message fits the query, with the best rank and the ids
-- of the five messages that fit best. Goes from the sessions to their messages, so that it costs what the scope holds
-- and not how often everybody else said the words: the index over all words is read through bitmaps, which are off.
CREATE OR REPLACE FUNCTION baton_found_in_scope_v1(
  p_query tsquery, p_user text, p_device uuid, p_active boolean, p_expired boolean, p_now timestamptz
) RETURNS TABLE (session_id uuid, last_activity timestamptz, rank real, ids bigint[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT f.session_id, min(f.last_activity), max(f.rank), (array_agg(f.id ORDER BY f.rank DESC, f.id DESC))[1:5]
  FROM (
    SELECT s.session_id, s.last_activity, m.id, ts_rank(m.search, p_query, 1) AS rank
    FROM baton_session_scope_v1(p_user, p_device, p_active, p_expired, p_now) s,
      LATERAL (SELECT * FROM chat_messages c WHERE c.session_id = s.session_id OFFSET 0) m
    WHERE m.search @@ p_query AND m.status <> 'erased'
    OFFSET 0) f -- ranked once, not once for each use
  GROUP BY f.session_id;
END $$;
