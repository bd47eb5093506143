-- As baton_found_in_scope_v1, in everybody's messages: by the index over all words, or, with p_from, in those from there
-- on (baton_search_from_v1).
CREATE OR REPLACE FUNCTION baton_found_anywhere_v1(p_query tsquery, p_from bigint, p_active boolean, p_expired boolean, p_now timestamptz)
RETURNS TABLE (session_id uuid, last_activity timestamptz, rank real, ids bigint[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT c.session_id, c.last_activity, g.rank, g.ids
  FROM (
    SELECT f.session_id, max(f.rank) AS rank, (array_agg(f.id ORDER BY f.rank DESC, f.id DESC))[1:5] AS ids
    FROM (
      (SELECT m.session_id, m.id, ts_rank(m.search, p_query, 1) AS rank FROM chat_messages m
       WHERE p_from = 0 AND m.search @@ p_query AND m.status <> 'erased')
      UNION ALL
      (SELECT n.session_id, n.id, ts_rank(n.search, p_query, 1)
       FROM (SELECT * FROM chat_messages m WHERE m.id >= p_from ORDER BY m.id OFFSET 0) n -- by id, whatever the words
       WHERE p_from > 0 AND n.search @@ p_query AND n.status <> 'erased')) f
    GROUP BY f.session_id) g
  JOIN LATERAL (SELECT * FROM chat_sessions s WHERE s.session_id = g.session_id OFFSET 0) c ON true
  WHERE (p_expired OR c.expires_at > p_now) AND (p_active IS NULL OR p_active = (c.expires_at > p_now AND NOT c.complete));
END $$;
