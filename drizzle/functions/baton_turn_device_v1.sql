-- The device whose turn a token is of: the caller's own, or the one it is linked to; a turn may be older than a link.
CREATE OR REPLACE FUNCTION baton_turn_device_v1(p_device uuid, p_fence bigint) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce((SELECT c.device_id FROM conversation_states c
    WHERE c.device_id = baton_linked_v1(p_device) AND p_fence IN (c.turn_fence, c.committed_fence)), p_device);
END $$;
