-- The device of each message, in the order given. The user id decides: a phone number changes hands.
CREATE OR REPLACE FUNCTION baton_resolve_v1(p_messages jsonb) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    SELECT array_agg(coalesce(m.device_id,
      baton_identity_v1(m.channel, m.account, 'user_id', m.user_id),
      baton_identity_v1(m.channel, m.account, 'phone', m.phone)) ORDER BY m.ord)
    FROM ROWS FROM (jsonb_to_recordset(p_messages) AS (device_id uuid, channel text, account text, phone text, user_id text))
      WITH ORDINALITY AS m (device_id, channel, account, phone, user_id, ord));
END $$;
