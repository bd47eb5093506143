-- RECOVER: takes turns of the builtin lane that somebody has let fall, wherever they are: replies that are due, then
-- messages that wait, the oldest first, where nobody has a live lease. Looks on until p_max_turns are taken or
-- nothing is left, so that no turn means nothing to do. Rows that another call holds are passed by: it is at work
-- there; nothing is waited for, so the order of the locks does not matter.
-- p_rest_ms: milliseconds for which a message is left to whoever stored it.
-- Sorting is off so that each list is read from its index, and only as far as it is needed.
CREATE OR REPLACE FUNCTION baton_recover_v2(
  p_request text, p_max_turns int, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int, p_rest_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
  -- to choose by; what decides is the clock read under each device's lock
  v_start timestamptz := baton_now_v1();
  v_device uuid;
  v_seen uuid[] := '{}';
  v_taken int := 0;
BEGIN
  PERFORM baton_replan_v1();
  FOR v_device IN
    SELECT q.device_id FROM (
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'pending' AND m.claim_expires_at <= v_start ORDER BY m.claim_expires_at)
      UNION ALL
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'unknown' AND m.claim_expires_at <= v_start ORDER BY m.claim_expires_at)
      UNION ALL
      -- also the ones being sent: a repeated call finds its own
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'sending' AND m.claim_expires_at IS NOT NULL ORDER BY m.claim_expires_at)
      UNION ALL
      (SELECT m.device_id, NULL FROM chat_messages m WHERE m.status = 'waiting' AND m.lane = 'builtin'
        AND m.created_at <= v_start - p_rest_ms * interval '1 ms' ORDER BY m.id)) q
    JOIN LATERAL (SELECT * FROM conversation_states s WHERE s.device_id = q.device_id OFFSET 0) c ON true
    WHERE (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
      -- a reply goes out after its predecessor; to be chosen for it would mean to be chosen in vain, each time
      AND (q.seq IS NULL OR NOT EXISTS (
        SELECT FROM chat_messages h WHERE h.device_id = q.device_id AND h.seq < q.seq AND h.status IN ('pending', 'sending', 'unknown') OFFSET 0))
  LOOP
    EXIT WHEN v_taken >= p_max_turns;
    CONTINUE WHEN v_device = ANY (v_seen);
    v_seen := v_seen || v_device;
    PERFORM FROM conversation_states c
    WHERE c.device_id = v_device AND (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
    FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    now := baton_now_v1();
    turn := baton_take_v1(v_device, p_request, 'builtin', p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
    IF turn IS NOT NULL THEN
      v_taken := v_taken + 1;
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_taken = 0 THEN
    now := baton_now_v1();
    turn := NULL;
    RETURN NEXT;
  END IF;
END $$;
