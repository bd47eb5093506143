-- Identities that nobody has looked at since p_old, a batch of them: forgotten where nothing is kept of their device but its
-- fences, else noted as needed, so that each is looked at once in a retention. A link between devices is always needed, and
-- so is who is linked by it. Gives how many were looked at.
-- Their rows are held before the devices', as everywhere. An ACCEPT that found one here waits for its device, finds that it is
-- gone, and begins anew.
CREATE OR REPLACE FUNCTION baton_clean_identities_v1(p_batch int, p_old timestamptz, p_now timestamptz) RETURNS int
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  i channel_identities;
  v_looked int := 0;
BEGIN
  FOR i IN SELECT * FROM channel_identities o WHERE o.checked_at <= p_old ORDER BY o.checked_at LIMIT p_batch FOR UPDATE SKIP LOCKED LOOP
    v_looked := v_looked + 1;
    PERFORM FROM conversation_states c
    WHERE c.device_id = i.device_id AND c.state IS NULL AND c.active_agent IS NULL AND c.session_id IS NULL FOR UPDATE SKIP LOCKED;
    IF FOUND AND i.kind <> 'device' AND baton_linked_v1(i.device_id) = i.device_id
      AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.device_id = i.device_id)
      AND NOT EXISTS (SELECT FROM chat_sessions s WHERE s.device_id = i.device_id)
      AND NOT EXISTS (SELECT FROM lock_events e WHERE e.device_id = i.device_id)
    THEN
      DELETE FROM channel_identities o WHERE (o.channel, o.account, o.kind, o.value) = (i.channel, i.account, i.kind, i.value);
    ELSE
      UPDATE channel_identities o SET checked_at = p_now WHERE (o.channel, o.account, o.kind, o.value) = (i.channel, i.account, i.kind, i.value);
    END IF;
  END LOOP;
  RETURN v_looked;
END $$;
