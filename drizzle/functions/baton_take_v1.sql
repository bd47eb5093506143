-- Gives a device's turn to p_owner if it is free and there is something to do; null if not. The caller holds
-- the device's state row and has read the clock after that.
CREATE OR REPLACE FUNCTION baton_take_v1(
  p_device uuid, p_owner text, p_lane text, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int, p_now timestamptz
) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  s conversation_states;
  v_ids bigint[];
  v_send bigint[];
  v_fence bigint;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  IF s.turn_expires_at > p_now THEN
    -- the answer to this very call was lost: give it its turn again
    RETURN CASE WHEN s.turn_owner = p_owner THEN baton_turn_view_v1(p_device, p_history, p_now) END;
  END IF;

  IF s.turn_expires_at IS NOT NULL THEN
    IF s.committed_fence = s.turn_fence THEN
      -- its worker fell between sending and settling: nobody knows what the channel took
      UPDATE chat_messages m SET status = 'unknown', claim_expires_at = s.turn_expires_at + p_resend_ms * interval '1 ms'
      WHERE m.device_id = p_device AND m.status = 'sending';
    ELSIF cardinality(s.handed) > 0 THEN
      PERFORM baton_count_attempt_v1(s.handed, 'lease_expired', p_max_attempts);
    END IF;
    UPDATE conversation_states c SET turn_expires_at = NULL, handed = '{}' WHERE c.device_id = p_device;
  END IF;

  -- replies first, and only from the head of the queue: none may overtake an earlier one
  IF p_lane = 'builtin' THEN
    SELECT array_agg(q.id) INTO v_send FROM (
      SELECT m.id, bool_and(m.claim_expires_at <= p_now AND (m.channel, m.account) = (h.channel, h.account)) OVER (ORDER BY m.seq) AS due
      FROM chat_messages m,
        (SELECT u.channel, u.account FROM chat_messages u
         WHERE u.device_id = p_device AND u.status IN ('pending', 'sending', 'unknown') ORDER BY u.seq LIMIT 1) h
      WHERE m.device_id = p_device AND m.status IN ('pending', 'sending', 'unknown')
      ORDER BY m.seq LIMIT 100) q
    WHERE q.due;
  END IF;
  IF v_send IS NULL THEN
    -- the oldest that fit into 2 MiB, and one in any case: with a mebibyte of history and one of state an answer stays
    -- under the 4.5 MB that a function on Vercel may give
    SELECT array_agg(b.id) INTO v_ids FROM (
      SELECT q.id, row_number() OVER w = 1 OR sum(q.bytes) OVER w <= 2097152 AS fits FROM (
        SELECT m.id, baton_message_bytes_v1(m) AS bytes FROM chat_messages m,
          (SELECT w.session_id, w.channel, w.account FROM chat_messages w
           WHERE w.device_id = p_device AND w.lane = p_lane AND w.status = 'waiting' ORDER BY w.id LIMIT 1) f
        WHERE m.device_id = p_device AND m.lane = p_lane AND m.status = 'waiting'
          AND (m.session_id, m.channel, m.account) = (f.session_id, f.channel, f.account)
        ORDER BY m.id LIMIT 100) q
      WINDOW w AS (ORDER BY q.id)) b
    WHERE b.fits;
    IF v_ids IS NULL THEN
      RETURN NULL;
    END IF;
  END IF;

  v_fence := nextval('baton_versions');
  UPDATE conversation_states c SET turn_fence = v_fence, turn_owner = p_owner, turn_lane = p_lane,
    turn_expires_at = p_now + p_lease_ms * interval '1 ms', handed = coalesce(v_ids, '{}'),
    granted_lock_version = c.lock_version, granted_state_version = c.state_version,
    committed_fence = CASE WHEN v_send IS NOT NULL THEN v_fence ELSE c.committed_fence END,
    committed_hash = CASE WHEN v_send IS NOT NULL THEN NULL ELSE c.committed_hash END,
    updated_at = p_now
  WHERE c.device_id = p_device;
  IF v_send IS NOT NULL THEN
    UPDATE chat_messages m SET status = 'sending', attempts = m.attempts + 1,
      claim_expires_at = p_now + p_lease_ms * interval '1 ms' WHERE m.id = ANY (v_send);
  END IF;
  RETURN baton_turn_view_v1(p_device, p_history, p_now);
END $$;
