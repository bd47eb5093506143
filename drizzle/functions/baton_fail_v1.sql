-- FAIL: the turn came to nothing. Its messages wait again, or are set aside when they have failed too often;
-- until the next try nobody holds the turn and nobody may take it: 1, 4, 16, then 64 seconds.
CREATE OR REPLACE FUNCTION baton_fail_v1(p_device uuid, p_fence bigint, p_error text, p_max_attempts int)
RETURNS TABLE (outcome text, now timestamptz, retry_at timestamptz)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  v_attempts int;
BEGIN
  PERFORM baton_replan_v1();
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  IF s.turn_fence IS DISTINCT FROM p_fence OR s.turn_expires_at IS NULL OR s.committed_fence = p_fence THEN
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;
  v_attempts := baton_count_attempt_v1(s.handed, p_error, p_max_attempts);
  IF v_attempts IS NOT NULL THEN
    retry_at := now + least(power(4, v_attempts - 1), 64) * interval '1 s';
  END IF;
  UPDATE conversation_states c SET turn_fence = nextval('baton_versions'), turn_owner = NULL, handed = '{}',
    turn_expires_at = retry_at, updated_at = now
  WHERE c.device_id = p_device;
  outcome := 'failed';
  RETURN NEXT;
END $$;
