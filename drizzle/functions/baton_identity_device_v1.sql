-- The device of an identity nobody has seen before: the same for two first messages in parallel, and not to be
-- guessed from a phone number. A UUID version 8 (RFC 9562, 5.8).
CREATE OR REPLACE FUNCTION baton_identity_device_v1(p_channel text, p_account text, p_kind text, p_value text) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_hash bytea := substring(baton_hmac_v1(jsonb_build_array(p_channel, p_account, p_kind, p_value)::text) FOR 16);
BEGIN
  v_hash := set_byte(v_hash, 6, (get_byte(v_hash, 6) & 15) | 128);
  v_hash := set_byte(v_hash, 8, (get_byte(v_hash, 8) & 63) | 128);
  RETURN encode(v_hash, 'hex')::uuid;
END $$;
