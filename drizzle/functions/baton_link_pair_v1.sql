-- A user id and a phone (or null) that came with one message. The caller holds the phone's row.
CREATE OR REPLACE FUNCTION baton_link_pair_v1(p_channel text, p_account text, p_phone text, p_user_id text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_phone uuid := baton_identity_v1(p_channel, p_account, 'phone', p_phone);
  v_user uuid;
BEGIN
  INSERT INTO channel_identities (channel, account, kind, value, device_id)
  VALUES (p_channel, p_account, 'user_id', p_user_id,
    CASE WHEN v_phone IS NULL OR baton_identities_v1(v_phone, p_channel, p_account, 'user_id') > 0
      THEN baton_identity_device_v1(p_channel, p_account, 'user_id', p_user_id) ELSE v_phone END)
  ON CONFLICT DO NOTHING;
  -- it may be another call's by now, whose first message carried no phone
  v_user := baton_identity_v1(p_channel, p_account, 'user_id', p_user_id);
  IF v_phone <> v_user AND (CASE WHEN baton_identities_v1(v_phone, p_channel, p_account, 'user_id') = 0
    -- a new number of this person, or one that nobody else has a claim to
    THEN baton_identities_v1(v_user, p_channel, p_account, 'phone') = 0 OR NOT EXISTS (SELECT FROM conversation_states c WHERE c.device_id = v_phone)
    -- the old number of somebody who has a newer one
    ELSE baton_identities_v1(v_user, p_channel, p_account, 'phone') = 0 AND baton_identities_v1(v_phone, p_channel, p_account, 'phone') > 1 END)
  THEN
    UPDATE channel_identities p SET device_id = v_user
    WHERE (p.channel, p.account, p.kind, p.value) = (p_channel, p_account, 'phone', p_phone);
  END IF;
END $$;
