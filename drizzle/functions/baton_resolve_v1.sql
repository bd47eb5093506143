-- The device of each message, in the order given; null: a chat session that nobody knows, or that is not its owner's. The
-- user id decides: a phone number changes hands. A sender whose words were erased has no ids left: the message's key
-- still tells the device.
CREATE OR REPLACE FUNCTION baton_resolve_v1(p_messages jsonb) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    SELECT array_agg(CASE
      WHEN m.device_id IS NOT NULL THEN baton_linked_v1(m.device_id)
      WHEN m.session_id IS NOT NULL THEN (SELECT t.device_id FROM chat_sessions t
        WHERE t.session_id = m.session_id AND t.device_id = coalesce(baton_linked_v1(m.owner), t.device_id))
      ELSE coalesce(baton_erased_v1(m.channel, m.account, m.external_id), baton_linked_v1(coalesce(
        baton_identity_v1(m.channel, m.account, 'user_id', m.user_id),
        baton_identity_v1(m.channel, m.account, 'phone', m.phone)))) END ORDER BY m.ord)
    FROM ROWS FROM (jsonb_to_recordset(p_messages) AS
        (device_id uuid, session_id uuid, owner uuid, channel text, account text, external_id text, phone text, user_id text))
      WITH ORDINALITY AS m (device_id, session_id, owner, channel, account, external_id, phone, user_id, ord));
END $$;
