-- A part of everything said in the chat sessions of a scope (as in baton_session_scope_v1; p_session: in this one alone):
-- the sessions in the order of their beginning, after each what was said in it, in order. Starts behind p_session_after
-- and p_seq_after, and ends after p_limit rows or a mebibyte; one row in any case. No row: that was all.
CREATE OR REPLACE FUNCTION baton_export_v1(
  p_session uuid, p_user text, p_device uuid, p_expired boolean, p_begun_after timestamptz, p_session_after uuid, p_seq_after bigint, p_limit int
) RETURNS TABLE (session jsonb, message jsonb, begun timestamptz, session_id uuid, seq bigint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t chat_sessions;
  m chat_messages;
  v_rows int := 0;
  v_bytes bigint := 0;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  FOR t IN
    SELECT c.* FROM (
      SELECT p_session AS session_id WHERE p_session IS NOT NULL
      UNION ALL
      SELECT s.session_id FROM baton_session_scope_v1(p_user, p_device, NULL, p_expired, baton_now_v1()) s
      WHERE p_session IS NULL AND (p_session_after IS NULL OR (s.created_at, s.session_id) >= (p_begun_after, p_session_after))) q
    JOIN LATERAL (SELECT * FROM chat_sessions o WHERE o.session_id = q.session_id OFFSET 0) c ON true
    ORDER BY c.created_at, c.session_id
  LOOP
    begun := t.created_at;
    session_id := t.session_id;
    IF t.session_id IS DISTINCT FROM p_session_after THEN
      session := baton_session_view_v1(t, true);
      message := NULL;
      seq := 0;
      v_rows := v_rows + 1;
      RETURN NEXT;
    END IF;
    session := NULL;
    FOR m IN
      SELECT * FROM chat_messages c
      WHERE c.session_id = t.session_id AND c.seq > CASE WHEN t.session_id = p_session_after THEN p_seq_after ELSE 0 END
      ORDER BY c.seq LIMIT p_limit - v_rows
    LOOP
      message := baton_message_view_v1(m);
      seq := m.seq;
      v_rows := v_rows + 1;
      v_bytes := v_bytes + baton_message_bytes_v1(m);
      RETURN NEXT;
      EXIT WHEN v_bytes >= 1048576;
    END LOOP;
    EXIT WHEN v_rows >= p_limit OR v_bytes >= 1048576;
  END LOOP;
END $$;
