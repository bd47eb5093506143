-- Writes the lock of a device whose state row the caller holds: p_agent null ends the holding. The same live
-- holder keeps its version (a renewal); every other change draws a new one, the end of a holding too, so that
-- "nobody moved it meanwhile" can be told by the version alone.
-- Handing over to a person takes the turn from a worker that is still at its answer. One that has committed is
-- only sending what stands in the history already; it may settle that.
CREATE OR REPLACE FUNCTION baton_move_lock_v1(p_device uuid, p_agent text, p_ttl int, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  s conversation_states;
  v_same boolean;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  v_same := coalesce(s.active_agent = p_agent AND s.lock_expires_at > p_now, false);
  UPDATE conversation_states c SET active_agent = p_agent,
    locked_at = CASE WHEN v_same THEN c.locked_at WHEN p_agent IS NOT NULL THEN p_now END,
    session_ttl = coalesce(p_ttl, c.session_ttl),
    lock_expires_at = CASE WHEN p_agent IS NOT NULL THEN p_now + coalesce(p_ttl, c.session_ttl) * interval '1 s' END,
    lock_version = CASE WHEN v_same THEN c.lock_version ELSE nextval('baton_versions') END,
    updated_at = p_now
  WHERE c.device_id = p_device;
  IF p_agent = 'human' AND NOT v_same THEN
    PERFORM baton_record_v1(p_device, p_now);
    UPDATE conversation_states c SET turn_fence = nextval('baton_versions'), turn_owner = NULL, turn_expires_at = NULL, handed = '{}'
    WHERE c.device_id = p_device AND c.turn_expires_at IS NOT NULL AND c.committed_fence IS DISTINCT FROM c.turn_fence;
  END IF;
END $$;
