-- Gives every sender that nobody has seen before a device. Phones first, in key order; then each unseen user id
-- reads again, under the locks of the phones' rows: two first messages in parallel must not split a person, and
-- two people who share a phone must not become one.
CREATE OR REPLACE FUNCTION baton_link_v1(p_messages jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  m record;
  v_phone uuid;
BEGIN
  INSERT INTO channel_identities (channel, account, kind, value, device_id)
  SELECT DISTINCT ON (n.channel, n.account, n.phone) n.channel, n.account, 'phone', n.phone,
    coalesce(u.device_id, baton_identity_device_v1(n.channel, n.account, 'phone', n.phone))
  FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
  LEFT JOIN channel_identities u ON (u.channel, u.account, u.kind, u.value) = (n.channel, n.account, 'user_id', n.user_id)
  WHERE n.phone IS NOT NULL AND NOT EXISTS (
    SELECT FROM channel_identities p WHERE (p.channel, p.account, p.kind, p.value) = (n.channel, n.account, 'phone', n.phone))
  ORDER BY n.channel, n.account, n.phone, u.device_id
  ON CONFLICT DO NOTHING;

  PERFORM FROM channel_identities p
  WHERE p.kind = 'phone' AND (p.channel, p.account, p.value) IN (
    SELECT n.channel, n.account, n.phone FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
    WHERE n.user_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM channel_identities u WHERE (u.channel, u.account, u.kind, u.value) = (n.channel, n.account, 'user_id', n.user_id)))
  ORDER BY p.channel, p.account, p.value FOR UPDATE;
  FOR m IN
    SELECT DISTINCT ON (n.channel, n.account, n.user_id) n.channel, n.account, n.user_id, n.phone
    FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
    WHERE n.user_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM channel_identities u WHERE (u.channel, u.account, u.kind, u.value) = (n.channel, n.account, 'user_id', n.user_id))
    ORDER BY n.channel, n.account, n.user_id, n.phone
  LOOP
    SELECT p.device_id INTO v_phone FROM channel_identities p
    WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone);
    IF EXISTS (SELECT FROM channel_identities u WHERE u.device_id = v_phone AND u.channel = m.channel AND u.account = m.account AND u.kind = 'user_id') THEN
      v_phone := NULL;
    END IF;
    INSERT INTO channel_identities (channel, account, kind, value, device_id)
    VALUES (m.channel, m.account, 'user_id', m.user_id,
      coalesce(v_phone, baton_identity_device_v1(m.channel, m.account, 'user_id', m.user_id)))
    ON CONFLICT DO NOTHING;
  END LOOP;
END $$;
