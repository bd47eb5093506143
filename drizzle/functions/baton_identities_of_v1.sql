-- Locks the identities that lead to these devices, phones before user ids as every other call does, and names them.
CREATE OR REPLACE FUNCTION baton_identities_of_v1(p_devices uuid[]) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM FROM channel_identities i WHERE i.device_id = ANY (p_devices)
  ORDER BY i.kind, i.channel, i.account, i.value FOR UPDATE;
  RETURN (
    SELECT jsonb_agg(jsonb_build_array(i.kind, i.channel, i.account, i.value, i.device_id) ORDER BY i.kind, i.channel, i.account, i.value)
    FROM channel_identities i WHERE i.device_id = ANY (p_devices));
END $$;
