-- What became of a message, and the replies to it: they follow it in the device's order and carry its fence.
-- A turn answers at most 100 messages with at most 100 replies.
CREATE OR REPLACE FUNCTION baton_answer_v2(p_device uuid, p_channel text, p_account text, p_message_id text)
RETURNS TABLE (now timestamptz, message jsonb, replies jsonb, free boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  m chat_messages;
BEGIN
  PERFORM baton_replan_v1();
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  SELECT * INTO m FROM chat_messages c
  WHERE c.dedupe_key = baton_dedupe_key_v1(p_channel, p_account, p_message_id) AND c.device_id = p_device;
  now := baton_now_v1();
  IF m.id IS NOT NULL THEN
    message := jsonb_build_object('id', m.id::text, 'session_id', m.session_id, 'content', m.content, 'status', m.status, 'holder', m.holder);
    SELECT jsonb_agg(baton_message_view_v1(r) || jsonb_build_object('answers', q.answers) ORDER BY r.seq) INTO replies
    FROM chat_messages r,
      LATERAL (SELECT jsonb_agg(a.external_id ORDER BY a.seq) AS answers FROM chat_messages a WHERE a.id = ANY (r.answers)) q
    WHERE r.device_id = p_device AND r.seq > m.seq AND r.seq <= m.seq + 200 AND r.role = 'assistant' AND r.turn_fence = m.turn_fence;
  END IF;
  free := s.turn_expires_at IS NULL OR s.turn_expires_at <= now;
  RETURN NEXT;
END $$;
