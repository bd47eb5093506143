-- Ends the holding if the guard holds; guard as in baton_set_lock_v1. Nothing held and no guard: nothing to do.
CREATE OR REPLACE FUNCTION baton_clear_lock_v1(p_device uuid, p_versions bigint[]) RETURNS TABLE (now timestamptz, written boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  written := p_versions IS NULL OR coalesce(
    s.active_agent IS NOT NULL AND s.lock_expires_at > now AND (p_versions = '{}' OR s.lock_version = ANY (p_versions)), false);
  IF written AND s.active_agent IS NOT NULL THEN
    PERFORM baton_move_lock_v1(p_device, NULL, NULL, now);
  END IF;
  RETURN NEXT;
END $$;
