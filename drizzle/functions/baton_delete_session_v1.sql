-- Deletes a chat session with what was said in it. Rows that carry a key stay, empty, until they are eight days old, so
-- that a redelivery is known. A worker that is at an answer in it loses the turn: words of the
-- session must not come back with its COMMIT, as replies or in the state. What it is only sending it may settle.
-- p_owner: only a session of this device; null: of any. p_expired: also one that is over.
CREATE OR REPLACE FUNCTION baton_delete_session_v1(p_session uuid, p_owner uuid, p_expired boolean) RETURNS TABLE (now timestamptz, deleted boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  t chat_sessions;
BEGIN
  PERFORM baton_replan_v1();
  p_owner := baton_linked_v1(p_owner);
  PERFORM FROM conversation_states s JOIN chat_sessions c ON c.device_id = s.device_id WHERE c.session_id = p_session FOR UPDATE OF s;
  SELECT * INTO t FROM chat_sessions c WHERE c.session_id = p_session FOR UPDATE;
  now := baton_now_v1();
  deleted := t.session_id IS NOT NULL AND (p_expired OR t.expires_at > now) AND (p_owner IS NULL OR t.device_id = p_owner);
  IF deleted THEN
    UPDATE conversation_states s SET turn_fence = nextval('baton_versions'), turn_owner = NULL, turn_expires_at = NULL, handed = '{}'
    WHERE s.device_id = t.device_id AND s.turn_expires_at IS NOT NULL AND s.committed_fence IS DISTINCT FROM s.turn_fence
      AND EXISTS (SELECT FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.session_id = p_session);
    UPDATE conversation_states s SET session_id = NULL, session_expires_at = NULL, updated_at = now
    WHERE s.device_id = t.device_id AND s.session_id = p_session;
    DELETE FROM chat_messages m
    WHERE m.session_id = p_session AND CASE WHEN m.dedupe_key IS NOT NULL THEN m.created_at <= now - interval '8 days' AND m.status <> 'erased' ELSE true END;
    UPDATE chat_messages m SET content = '', metadata = '{}', address = NULL, status = 'erased', seq = NULL, external_id = NULL
    WHERE m.session_id = p_session AND m.status <> 'erased';
    DELETE FROM chat_sessions c WHERE c.session_id = p_session;
  END IF;
  RETURN NEXT;
END $$;
