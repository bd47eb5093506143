-- Merges a chat session's metadata (RFC 7396) and, with p_complete, ends it: it stays for p_completed_ttl seconds and is
-- its device's current one no more. Either is a sign of life. p_owner: only a session of this device; null: of any.
-- outcome: patched, not_found, too_large (nothing was written).
CREATE OR REPLACE FUNCTION baton_patch_session_v1(
  p_session uuid, p_owner uuid, p_patch jsonb, p_complete boolean, p_session_ttl int, p_completed_ttl int, p_max_bytes int
) RETURNS TABLE (now timestamptz, outcome text, session jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  t chat_sessions;
  v_metadata jsonb;
BEGIN
  PERFORM baton_replan_v1();
  p_owner := baton_linked_v1(p_owner);
  PERFORM FROM conversation_states s JOIN chat_sessions c ON c.device_id = s.device_id WHERE c.session_id = p_session FOR UPDATE OF s;
  SELECT * INTO t FROM chat_sessions c WHERE c.session_id = p_session FOR UPDATE;
  now := baton_now_v1();
  IF t.session_id IS NULL OR t.expires_at <= now OR t.device_id <> coalesce(p_owner, t.device_id) THEN
    outcome := 'not_found';
    RETURN NEXT;
    RETURN;
  END IF;
  v_metadata := baton_merge_patch_v1(t.metadata, p_patch);
  -- what was larger before may still shrink
  IF p_patch <> '{}' AND octet_length(v_metadata::text) > octet_length(t.metadata::text) AND baton_is_larger_v1(v_metadata, p_max_bytes) THEN
    outcome := 'too_large';
    RETURN NEXT;
    RETURN;
  END IF;
  UPDATE chat_sessions c SET metadata = v_metadata, complete = c.complete OR p_complete, last_activity = now,
    expires_at = now + CASE WHEN c.complete OR p_complete THEN p_completed_ttl ELSE coalesce(c.ttl, p_session_ttl) END * interval '1 s'
  WHERE c.session_id = p_session RETURNING * INTO t;
  UPDATE conversation_states s SET updated_at = now,
    session_id = CASE WHEN NOT t.complete THEN s.session_id END,
    session_expires_at = CASE WHEN NOT t.complete THEN t.expires_at END
  WHERE s.device_id = t.device_id AND s.session_id = p_session;
  outcome := 'patched';
  session := baton_session_view_v1(t, true);
  RETURN NEXT;
END $$;
