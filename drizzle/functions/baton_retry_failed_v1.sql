-- Puts messages that were set aside back among the waiting ones, with their tries before them: those of one device,
-- or of all (p_device null), the oldest first, at most p_limit. more: there may be others.
CREATE OR REPLACE FUNCTION baton_retry_failed_v1(p_device uuid, p_limit int)
RETURNS TABLE (now timestamptz, retried int, more boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_ids bigint[];
  v_devices uuid[];
BEGIN
  PERFORM baton_replan_v1();
  SELECT array_agg(q.id), array_agg(DISTINCT q.device_id) INTO v_ids, v_devices FROM (
    SELECT m.id, m.device_id FROM chat_messages m
    WHERE m.status = 'failed' AND m.role = 'user' AND (p_device IS NULL OR m.device_id = p_device)
    ORDER BY m.id LIMIT p_limit) q;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  now := baton_now_v1();
  UPDATE chat_messages m SET status = 'waiting', attempts = 0, error = NULL WHERE m.id = ANY (v_ids) AND m.status = 'failed';
  GET DIAGNOSTICS retried = ROW_COUNT;
  -- where a person holds the conversation by now, nothing waits
  PERFORM baton_record_v1(c.device_id, now) FROM (SELECT * FROM conversation_states s WHERE s.device_id = ANY (v_devices) OFFSET 0) c
  WHERE c.active_agent = 'human' AND c.lock_expires_at > now;
  more := retried >= p_limit;
  RETURN NEXT;
END $$;
