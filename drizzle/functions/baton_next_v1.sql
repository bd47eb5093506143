-- NEXT: takes the free turns among these devices, at most p_max_turns, if something waits there in the lane or, in
-- the builtin one, a reply is due; first the ones that an earlier try of this very call took. All that may have work
-- are locked, as some turn out to have none: what waited is set aside, or a reply must rest. One row per turn; where
-- none was taken, one row with the clock alone.
CREATE OR REPLACE FUNCTION baton_next_v1(
  p_devices uuid[], p_request text, p_lane text, p_max_turns int,
  p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  -- to choose by; what decides is the clock read under the locks
  v_start timestamptz := baton_now_v1();
  v_devices uuid[];
  v_device uuid;
  v_taken int := 0;
BEGIN
  PERFORM baton_replan_v1();
  IF p_lane = 'external' THEN
    -- its workers name the device they were told of; what waited there before it was linked is theirs as well
    p_devices := p_devices || ARRAY(SELECT baton_linked_v1(d) FROM unnest(p_devices) d);
  END IF;
  SELECT array_agg(c.device_id ORDER BY coalesce(c.turn_owner = p_request AND c.turn_expires_at > v_start, false) DESC, c.device_id)
  INTO v_devices FROM conversation_states c
  WHERE c.device_id = ANY (p_devices)
    AND (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
    AND (EXISTS (SELECT FROM chat_messages m WHERE m.device_id = c.device_id AND m.lane = p_lane AND m.status = 'waiting' OFFSET 0)
      OR p_lane = 'builtin' AND EXISTS (SELECT FROM chat_messages m
        WHERE m.device_id = c.device_id AND m.status IN ('pending', 'sending', 'unknown') AND (m.claim_expires_at <= v_start OR c.turn_owner = p_request) OFFSET 0));
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  now := baton_now_v1();
  FOREACH v_device IN ARRAY coalesce(v_devices, '{}') LOOP
    EXIT WHEN v_taken >= p_max_turns;
    turn := baton_take_v1(v_device, p_request, p_lane, p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
    IF turn IS NOT NULL THEN
      v_taken := v_taken + 1;
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_taken = 0 THEN
    turn := NULL;
    RETURN NEXT;
  END IF;
END $$;
