-- The device of each message, in the order given. The user id decides: a phone number changes hands.
CREATE OR REPLACE FUNCTION baton_resolve_v1(p_messages jsonb) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    -- subqueries, not joins: they can only be index probes, also before the table was ever analysed
    SELECT array_agg(coalesce(m.device_id,
      (SELECT u.device_id FROM channel_identities u WHERE (u.channel, u.account, u.kind, u.value) = (m.channel, m.account, 'user_id', m.user_id)),
      (SELECT p.device_id FROM channel_identities p WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone))
    ) ORDER BY m.ord)
    FROM ROWS FROM (jsonb_to_recordset(p_messages) AS (device_id uuid, channel text, account text, phone text, user_id text))
      WITH ORDINALITY AS m (device_id, channel, account, phone, user_id, ord));
END $$;
