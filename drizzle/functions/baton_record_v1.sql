-- A person holds the conversation: what waits enters the history at once and is never handed to code, not
-- later either. The caller holds the device's state row.
CREATE OR REPLACE FUNCTION baton_record_v1(p_device uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_ids bigint[];
BEGIN
  SELECT array_agg(m.id ORDER BY m.sent_at, m.id) INTO v_ids
  FROM chat_messages m WHERE m.device_id = p_device AND m.status = 'waiting';
  IF v_ids IS NULL THEN
    RETURN;
  END IF;
  UPDATE chat_messages m SET status = 'recorded', holder = 'human', seq = s.last_seq + array_position(v_ids, m.id)
  FROM conversation_states s WHERE s.device_id = p_device AND m.id = ANY (v_ids);
  UPDATE conversation_states s SET last_seq = s.last_seq + cardinality(v_ids), updated_at = p_now WHERE s.device_id = p_device;
  UPDATE chat_sessions c SET message_count = c.message_count + q.n, last_activity = p_now
  FROM (SELECT m.session_id, count(*)::int AS n FROM chat_messages m WHERE m.id = ANY (v_ids) GROUP BY m.session_id) q
  WHERE c.session_id = q.session_id;
END $$;
