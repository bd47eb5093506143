-- A person holds the conversation: what waits enters the history at once and is never handed to code, not
-- later either. The caller holds the device's state row.
CREATE OR REPLACE FUNCTION baton_record_v1(p_device uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_ids bigint[];
BEGIN
  SELECT array_agg(m.id) INTO v_ids FROM chat_messages m WHERE m.device_id = p_device AND m.status = 'waiting';
  IF v_ids IS NOT NULL THEN
    PERFORM baton_enter_v1(p_device, v_ids, 'human', p_now);
  END IF;
END $$;
