-- The device of a message whose words were erased and whose key is still known; null: there is no such message.
CREATE OR REPLACE FUNCTION baton_erased_v1(p_channel text, p_account text, p_external_id text) RETURNS uuid
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (SELECT c.device_id FROM chat_messages c
    WHERE c.dedupe_key = baton_dedupe_key_v1(p_channel, p_account, p_external_id) AND c.status = 'erased');
END $$;
