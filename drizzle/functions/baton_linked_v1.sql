-- The device whose conversation a device shares; itself where it was never linked. One hop: whoever is linked to a
-- device follows when that one is linked on.
CREATE OR REPLACE FUNCTION baton_linked_v1(p_device uuid) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce((SELECT i.device_id FROM channel_identities i
    WHERE (i.channel, i.account, i.kind, i.value) = ('device', '', 'device', p_device::text)), p_device);
END $$;
