-- How many identities of a kind lead to a device.
CREATE OR REPLACE FUNCTION baton_identities_v1(p_device uuid, p_channel text, p_account text, p_kind text) RETURNS int
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (SELECT count(*) FROM channel_identities i WHERE i.device_id = p_device AND (i.channel, i.account, i.kind) = (p_channel, p_account, p_kind));
END $$;
