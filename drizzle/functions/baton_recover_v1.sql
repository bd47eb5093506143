-- RECOVER: takes turns of the builtin lane that somebody has let fall, wherever they are: messages that wait, or
-- replies that are due, with no live lease. Rows that another call holds are passed by: it is at work there.
CREATE OR REPLACE FUNCTION baton_recover_v1(
  p_request text, p_max_turns int, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_devices uuid[];
  v_device uuid;
  v_found boolean := false;
BEGIN
  SELECT array_agg(q.device_id) INTO v_devices FROM (
    SELECT c.device_id FROM conversation_states c
    WHERE (c.turn_expires_at IS NULL OR c.turn_expires_at <= clock_timestamp() OR c.turn_owner = p_request)
      AND c.device_id IN (
        SELECT m.device_id FROM chat_messages m WHERE m.status = 'waiting' AND m.lane = 'builtin'
        UNION ALL
        -- the head of each queue; a device whose head is not due would be chosen again and again
        SELECT h.device_id FROM (
          SELECT DISTINCT ON (m.device_id) m.device_id, m.status, m.claim_expires_at FROM chat_messages m
          WHERE m.status IN ('pending', 'sending', 'unknown') ORDER BY m.device_id, m.seq) h
        WHERE h.status = 'sending' OR h.claim_expires_at <= clock_timestamp())
    ORDER BY c.turn_expires_at NULLS FIRST LIMIT p_max_turns FOR UPDATE SKIP LOCKED) q;
  now := baton_now_v1();
  FOREACH v_device IN ARRAY coalesce(v_devices, '{}') LOOP
    turn := baton_take_v1(v_device, p_request, 'builtin', p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
    IF turn IS NOT NULL THEN
      v_found := true;
      RETURN NEXT;
    END IF;
  END LOOP;
  IF NOT v_found THEN
    turn := NULL;
    RETURN NEXT;
  END IF;
END $$;
