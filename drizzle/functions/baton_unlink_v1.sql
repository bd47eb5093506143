-- Parts what was linked: a device from the conversation it joined, and where it joined none, every device from its own.
-- unlinked: how many have a conversation of their own again.
CREATE OR REPLACE FUNCTION baton_unlink_v1(p_device uuid) RETURNS TABLE (now timestamptz, unlinked int)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  PERFORM baton_replan_v1();
  DELETE FROM channel_identities i WHERE (i.channel, i.account, i.kind, i.value) = ('device', '', 'device', p_device::text);
  GET DIAGNOSTICS unlinked = ROW_COUNT;
  IF unlinked = 0 THEN
    PERFORM baton_identities_of_v1(ARRAY[p_device]);
    DELETE FROM channel_identities i WHERE i.device_id = p_device AND i.kind = 'device';
    GET DIAGNOSTICS unlinked = ROW_COUNT;
  END IF;
  -- nor may whoever knows a code that is still good come in again
  DELETE FROM link_codes l WHERE l.device_id = p_device;
  now := baton_now_v1();
  RETURN NEXT;
END $$;
