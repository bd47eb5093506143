-- The last messages of a chat session before a place in its device's order (null: the end), oldest first: at most
-- p_limit of them, and as many as fit into 4 MiB, one in any case. older: the place to go on from; null: none is older.
-- total null: there is no such session. p_owner: only a session of this device; null: of any. p_expired: also one
-- that is over.
CREATE OR REPLACE FUNCTION baton_history_v1(p_session uuid, p_owner uuid, p_expired boolean, p_before bigint, p_limit int)
RETURNS TABLE (now timestamptz, total int, messages jsonb, older bigint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_first bigint;
BEGIN
  PERFORM baton_replan_v1();
  p_owner := baton_linked_v1(p_owner);
  now := baton_now_v1();
  SELECT c.message_count INTO total FROM chat_sessions c
  WHERE c.session_id = p_session AND (p_expired OR c.expires_at > now) AND (p_owner IS NULL OR c.device_id = p_owner);
  IF total IS NOT NULL THEN
    SELECT jsonb_agg(baton_message_view_v1(h.m) ORDER BY (h.m).seq), min((h.m).seq) INTO messages, v_first FROM (
      SELECT q.m, row_number() OVER w = 1 OR sum(baton_message_bytes_v1(q.m)) OVER w <= 4194304 AS fits FROM (
        SELECT m FROM chat_messages m
        WHERE m.session_id = p_session AND m.seq < coalesce(p_before, 9223372036854775807) ORDER BY m.seq DESC LIMIT p_limit) q
      WINDOW w AS (ORDER BY (q.m).seq DESC)) h
    WHERE h.fits;
    IF EXISTS (SELECT FROM chat_messages m WHERE m.session_id = p_session AND m.seq < v_first) THEN
      older := v_first;
    END IF;
  END IF;
  RETURN NEXT;
END $$;
