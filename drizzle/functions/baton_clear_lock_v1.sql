-- Ends the holding if the guard holds; guard as in baton_set_lock_v1. Nothing held and no guard: nothing to do. One
-- that has lapsed is left to the clean-up: nobody moved it, so its version must stay.
CREATE OR REPLACE FUNCTION baton_clear_lock_v1(p_device uuid, p_versions bigint[]) RETURNS TABLE (now timestamptz, written boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  v_live boolean;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  v_live := coalesce(s.active_agent IS NOT NULL AND s.lock_expires_at > now, false);
  written := p_versions IS NULL OR (v_live AND (p_versions = '{}' OR s.lock_version = ANY (p_versions)));
  IF written AND v_live THEN
    PERFORM baton_move_lock_v1(p_device, NULL, NULL, now);
  END IF;
  RETURN NEXT;
END $$;
