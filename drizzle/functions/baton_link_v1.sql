-- Gives every sender a device, and one person one device. Lock order: phones in key order, then user ids. The user
-- id decides who it is; a phone that is still free leads to it, so that two first messages in parallel do not
-- split a person, and one that is somebody's own does not, so that two people who share a phone stay two.
-- Subqueries on whole keys, not joins: they can only be index probes, also before the table was ever analysed.
CREATE OR REPLACE FUNCTION baton_link_v1(p_messages jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_pairs jsonb;
  m record;
  v_user uuid;
BEGIN
  INSERT INTO channel_identities (channel, account, kind, value, device_id)
  SELECT DISTINCT n.channel, n.account, 'phone', p.value, baton_identity_device_v1(n.channel, n.account, 'phone', p.value)
  FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, becomes jsonb),
    unnest(ARRAY[n.phone, n.becomes ->> 'phone']) AS p (value)
  WHERE p.value IS NOT NULL AND baton_identity_v1(n.channel, n.account, 'phone', p.value) IS NULL
  ORDER BY n.channel, n.account, p.value ON CONFLICT DO NOTHING;

  -- what may have to change: ids that are new, or lead to two devices, or that the channel says have become others
  SELECT jsonb_agg(q) INTO v_pairs FROM (
    SELECT DISTINCT n.channel, n.account, n.phone, n.user_id, NULL::jsonb AS was
    FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
    WHERE n.user_id IS NOT NULL AND (
      baton_identity_v1(n.channel, n.account, 'user_id', n.user_id) IS NULL OR
      baton_identity_v1(n.channel, n.account, 'phone', n.phone) <> baton_identity_v1(n.channel, n.account, 'user_id', n.user_id))
    UNION ALL
    SELECT n.channel, n.account, n.becomes ->> 'phone', n.becomes ->> 'user_id', jsonb_build_object('phone', n.phone, 'user_id', n.user_id)
    FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text, becomes jsonb, external_id text)
    WHERE n.becomes IS NOT NULL
      -- told again days later, the number may be somebody else's
      AND NOT EXISTS (SELECT FROM chat_messages c WHERE c.dedupe_key = baton_dedupe_key_v1(n.channel, n.account, n.external_id) OFFSET 0)) q;
  IF v_pairs IS NULL THEN
    RETURN;
  END IF;

  FOR m IN
    SELECT DISTINCT n.channel, n.account, n.phone FROM jsonb_to_recordset(v_pairs) AS n (channel text, account text, phone text)
    WHERE n.phone IS NOT NULL ORDER BY n.channel, n.account, n.phone
  LOOP
    PERFORM FROM channel_identities p
    WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone) FOR UPDATE;
  END LOOP;
  FOR m IN
    SELECT * FROM jsonb_to_recordset(v_pairs) AS n (channel text, account text, phone text, user_id text, was jsonb)
    ORDER BY n.was IS NOT NULL, n.channel, n.account, n.user_id, n.phone
  LOOP
    IF m.was IS NULL THEN
      PERFORM baton_link_pair_v1(m.channel, m.account, m.phone, m.user_id);
    ELSE
      v_user := coalesce(baton_identity_v1(m.channel, m.account, 'user_id', m.was ->> 'user_id'),
        baton_identity_v1(m.channel, m.account, 'phone', m.was ->> 'phone'));
      INSERT INTO channel_identities (channel, account, kind, value, device_id)
      SELECT m.channel, m.account, 'user_id', m.user_id, v_user WHERE m.user_id IS NOT NULL AND v_user IS NOT NULL
      ON CONFLICT (channel, account, kind, value) DO UPDATE SET device_id = v_user;
      -- the old number still leads here until somebody else writes with it
      UPDATE channel_identities p SET device_id = v_user
      WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone) AND v_user IS NOT NULL;
    END IF;
  END LOOP;
END $$;
