-- A page of the chat sessions of a scope (as in baton_session_scope_v1) in which a message fits the words, the best
-- first, behind p_rank_after, p_time_after and p_session_after; each with the messages that fit best, and in a piece of
-- their text the hits between U+0002 and U+0003. One more than p_limit where others follow. total: of all pages; null:
-- of everybody's messages only words that must occur can be looked for. partial: the words are so common that only the
-- newest messages were looked at.
CREATE OR REPLACE FUNCTION baton_search_sessions_v1(
  p_words text, p_user text, p_device uuid, p_active boolean, p_expired boolean,
  p_rank_after real, p_time_after timestamptz, p_session_after uuid, p_limit int
) RETURNS TABLE (now timestamptz, total int, partial boolean, sessions jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  -- as in baton_search_vector_v1
  v_query tsquery := websearch_to_tsquery('baton_search', regexp_replace(normalize(p_words), '([/<])', ' \1 ', 'g'));
  v_everywhere boolean := p_user IS NULL AND p_device IS NULL;
  v_from bigint := 0;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  now := baton_now_v1();
  IF v_everywhere AND querytree(v_query) = 'T' THEN
    RETURN NEXT;
    RETURN;
  END IF;
  IF v_everywhere THEN
    v_from := baton_search_from_v1(v_query);
  END IF;
  partial := v_from > 0;
  WITH found AS MATERIALIZED (
    SELECT * FROM baton_found_in_scope_v1(v_query, p_user, p_device, p_active, p_expired, now) WHERE NOT v_everywhere
    UNION ALL
    SELECT * FROM baton_found_anywhere_v1(v_query, v_from, p_active, p_expired, now) WHERE v_everywhere),
  page AS (
    SELECT * FROM found f
    WHERE p_session_after IS NULL OR (f.rank, f.last_activity, f.session_id) < (p_rank_after, p_time_after, p_session_after)
    ORDER BY f.rank DESC, f.last_activity DESC, f.session_id DESC LIMIT p_limit + 1),
  hits AS (
    SELECT p.session_id, i.place, m.id, m.content,
      sum(least(octet_length(m.content), 200000)) OVER (ORDER BY p.rank DESC, p.last_activity DESC, p.session_id DESC, i.place) AS bytes
    FROM page p, unnest(p.ids) WITH ORDINALITY i (id, place),
      LATERAL (SELECT * FROM chat_messages c WHERE c.id = i.id OFFSET 0) m),
  shown AS (
    SELECT h.session_id, jsonb_agg(jsonb_build_object('message_id', h.id::text, 'snippet',
      regexp_replace(ts_headline('baton_search', x.text, v_query, E'StartSel=\x02, StopSel=\x03'), ' ([/<]) ', '\1', 'g')) ORDER BY h.place) AS matches
    FROM hits h,
      -- 4 MB of text take a second; behind them only the beginning of each message is looked at
      LATERAL (SELECT regexp_replace(translate(left(normalize(h.content), CASE WHEN h.bytes <= 4000000 THEN 200000 ELSE 2000 END),
        E'\x02\x03', ''), '([/<])', ' \1 ', 'g') AS text) x
    GROUP BY h.session_id)
  SELECT (SELECT count(*) FROM found),
    (SELECT jsonb_agg(baton_session_view_v1(c, false) || jsonb_build_object('rank', p.rank, 'matches', h.matches)
       ORDER BY p.rank DESC, p.last_activity DESC, p.session_id DESC)
     FROM page p JOIN LATERAL (SELECT * FROM chat_sessions s WHERE s.session_id = p.session_id OFFSET 0) c ON true
       JOIN shown h ON h.session_id = p.session_id)
  INTO total, sessions;
  RETURN NEXT;
END $$;
