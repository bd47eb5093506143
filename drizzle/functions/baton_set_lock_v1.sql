-- Sets the lock if the guard holds. p_must_be_free: only where no live lock stands. p_versions: only the live
-- lock of one of these versions; an empty array: any live lock; null: no such guard.
CREATE OR REPLACE FUNCTION baton_set_lock_v1(p_device uuid, p_agent text, p_ttl int, p_must_be_free boolean, p_versions bigint[])
RETURNS TABLE (now timestamptz, written boolean, lock jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  v_live boolean;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  IF p_versions IS NULL THEN
    INSERT INTO conversation_states (device_id) VALUES (p_device) ON CONFLICT DO NOTHING;
  END IF;
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  v_live := coalesce(s.active_agent IS NOT NULL AND s.lock_expires_at > now, false);
  written := NOT (p_must_be_free AND v_live)
    AND (p_versions IS NULL OR (v_live AND (p_versions = '{}' OR s.lock_version = ANY (p_versions))));
  IF written THEN
    PERFORM baton_move_lock_v1(p_device, p_agent, p_ttl, now);
  END IF;
  SELECT baton_lock_view_v1(c, now) INTO lock FROM conversation_states c WHERE c.device_id = p_device;
  RETURN NEXT;
END $$;
