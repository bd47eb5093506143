-- The device an identity leads to; null: nobody has seen it. VOLATILE: it must see what the calling function has
-- just written.
CREATE OR REPLACE FUNCTION baton_identity_v1(p_channel text, p_account text, p_kind text, p_value text) RETURNS uuid
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (SELECT i.device_id FROM channel_identities i WHERE (i.channel, i.account, i.kind, i.value) = (p_channel, p_account, p_kind, p_value));
END $$;
