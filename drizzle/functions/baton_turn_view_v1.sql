-- Everything the holder of a turn works from: what was handed to it, or which replies it has to send, and what
-- was said before; null where the channel has told of all its replies before its worker did. VOLATILE: it must see
-- what the calling function has just written.
CREATE OR REPLACE FUNCTION baton_turn_view_v1(p_device uuid, p_history int, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  s conversation_states;
  v_first chat_messages;
  v_messages jsonb;
  v_history jsonb;
  v_replies jsonb;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  IF s.committed_fence = s.turn_fence THEN
    SELECT * INTO v_first FROM chat_messages m WHERE m.device_id = p_device AND m.status = 'sending' ORDER BY m.seq LIMIT 1;
    SELECT jsonb_agg(baton_reply_view_v1(m, p_now) ORDER BY m.seq) INTO v_replies
    FROM chat_messages m WHERE m.device_id = p_device AND m.status = 'sending';
  ELSE
    SELECT * INTO v_first FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.status = 'waiting' ORDER BY m.id LIMIT 1;
    SELECT jsonb_agg(baton_message_view_v1(m) ORDER BY m.sent_at, m.id) INTO v_messages
    FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.status = 'waiting';
    -- the newest that fit into a mebibyte
    SELECT jsonb_agg(baton_message_view_v1(h.m) ORDER BY (h.m).seq) INTO v_history FROM (
      SELECT q.m, sum(baton_message_bytes_v1(q.m)) OVER (ORDER BY (q.m).seq DESC) AS bytes FROM (
        SELECT m FROM chat_messages m
        WHERE m.session_id = v_first.session_id AND m.lane = v_first.lane AND m.seq IS NOT NULL ORDER BY m.seq DESC LIMIT p_history) q) h
    WHERE h.bytes <= 1048576;
  END IF;
  IF v_first.id IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN jsonb_build_object(
    'device_id', p_device,
    'fence', s.turn_fence::text,
    'expires_at', s.turn_expires_at,
    'session_id', v_first.session_id,
    'channel', v_first.channel,
    'account', v_first.account,
    'address', coalesce(v_first.address, '{}'),
    'lock', baton_lock_view_v1(s, p_now),
    'state', coalesce(s.state, '{}'),
    'state_version', CASE WHEN s.state IS NOT NULL THEN s.state_version::text END,
    'messages', coalesce(v_messages, '[]'),
    'history', coalesce(v_history, '[]'),
    'replies', coalesce(v_replies, '[]'));
END $$;
