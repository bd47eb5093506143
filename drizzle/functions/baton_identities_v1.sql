-- How many identities of a kind lead to a device. The subquery is a fence for the planner: of a table it knows
-- nothing of it would as soon read all identities of the account as the few of the device.
CREATE OR REPLACE FUNCTION baton_identities_v1(p_device uuid, p_channel text, p_account text, p_kind text) RETURNS int
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    SELECT count(*) FROM (SELECT i.channel, i.account, i.kind FROM channel_identities i WHERE i.device_id = p_device OFFSET 0) o
    WHERE (o.channel, o.account, o.kind) = (p_channel, p_account, p_kind));
END $$;
