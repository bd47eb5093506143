-- COMMIT: answers exactly what was handed over, and writes all of it or nothing.
-- p_commit: {replies: [{content, metadata, agent}], deliver: bool, state?: {…}, state_patch?: {…},
--   lock: {do: keep | renew | set | clear, agent?, ttl?: seconds}, complete?: bool}
-- outcome: committed, lost (the fence is not the device's newest, or it was committed with other content),
--   state_conflict (state replaces, and somebody changed it since the grant). Raises ZB001: state too large.
CREATE OR REPLACE FUNCTION baton_commit_v1(
  p_device uuid, p_fence bigint, p_commit jsonb, p_lane text,
  p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int, p_session_ttl int, p_completed_ttl int, p_max_state int
) RETURNS TABLE (outcome text, now timestamptz, lock jsonb, session_id uuid, answered jsonb, replies jsonb, deliver boolean, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  s conversation_states;
  v_last chat_messages;
  v_is_free boolean;
  v_holder text;
  v_hash bytea := sha256(convert_to(p_lane || p_commit::text, 'UTF8'));
  v_answered bigint[];
  v_replies bigint[];
  v_deliver boolean := (p_commit ->> 'deliver')::boolean;
  v_complete boolean := coalesce((p_commit ->> 'complete')::boolean, false);
  v_writes_state boolean := p_commit ? 'state' OR p_commit ? 'state_patch';
  v_session_end timestamptz;
  v_blocked boolean := false;
  v_asked_bytes bigint;
  v_reply_bytes bigint;
BEGIN
  PERFORM baton_replan_v1();
  IF p_lane = 'external' THEN
    p_device := baton_turn_device_v1(p_device, p_fence);
  END IF;
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  IF s.committed_fence = p_fence AND s.committed_hash = v_hash THEN
    -- sent again: what was written then, found among the device's last (a turn writes at most 200)
    outcome := 'committed';
    SELECT array_agg(m.id) FILTER (WHERE m.role = 'user'), array_agg(m.id) FILTER (WHERE m.role = 'assistant') INTO v_answered, v_replies
    FROM chat_messages m WHERE m.device_id = p_device AND m.seq > s.last_seq - 500 AND m.turn_fence = p_fence;
  ELSIF s.turn_fence = p_fence AND s.turn_lane = p_lane AND s.turn_expires_at IS NOT NULL AND s.committed_fence IS DISTINCT FROM p_fence THEN
    IF p_commit ? 'state' AND s.state_version IS DISTINCT FROM s.granted_state_version THEN
      outcome := 'state_conflict';
      RETURN NEXT;
      RETURN;
    END IF;
    outcome := 'committed';

    SELECT array_agg(m.id ORDER BY m.sent_at, m.id), sum(octet_length(m.content)) INTO v_answered, v_asked_bytes
    FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.device_id = p_device AND m.status = 'waiting';
    -- the last one says where the person is now
    SELECT * INTO v_last FROM chat_messages m WHERE m.id = v_answered[cardinality(v_answered)];
    v_is_free := s.lock_version IS NOT DISTINCT FROM s.granted_lock_version;
    v_holder := CASE
      WHEN v_is_free AND p_commit -> 'lock' ->> 'do' = 'set' THEN p_commit -> 'lock' ->> 'agent'
      WHEN v_is_free AND p_commit -> 'lock' ->> 'do' = 'clear' THEN NULL
      WHEN s.lock_expires_at > now THEN s.active_agent END;
    UPDATE chat_messages m SET status = 'answered', seq = s.last_seq + array_position(v_answered, m.id), turn_fence = p_fence, error = NULL,
      holder = v_holder
    WHERE m.id = ANY (v_answered);
    IF v_deliver THEN
      v_blocked := EXISTS (SELECT FROM chat_messages m WHERE m.device_id = p_device AND m.status IN ('pending', 'sending', 'unknown'));
    END IF;
    WITH written AS (
      INSERT INTO chat_messages (device_id, session_id, seq, role, content, metadata, agent, channel, account, lane, address, status, answers,
        turn_fence, attempts, claim_expires_at, sent_at, created_at)
      SELECT p_device, v_last.session_id, s.last_seq + coalesce(cardinality(v_answered), 0) + r.ord, 'assistant', r.reply ->> 'content',
        coalesce(r.reply -> 'metadata', '{}'),
        coalesce(r.reply ->> 'agent', CASE WHEN s.lock_expires_at > now THEN s.active_agent END), v_last.channel, v_last.account, p_lane, v_last.address,
        CASE WHEN NOT v_deliver THEN 'sent' WHEN v_blocked THEN 'pending' ELSE 'sending' END,
        v_answered, p_fence, (NOT v_blocked)::int, CASE WHEN v_blocked THEN now ELSE now + p_lease_ms * interval '1 ms' END, now, now
      FROM jsonb_array_elements(p_commit -> 'replies') WITH ORDINALITY AS r (reply, ord)
      WHERE v_answered IS NOT NULL
      ORDER BY r.ord
      RETURNING id, octet_length(content) AS bytes)
    SELECT array_agg(w.id), sum(w.bytes) INTO v_replies, v_reply_bytes FROM written w;

    UPDATE chat_sessions c SET last_activity = now, complete = c.complete OR v_complete,
      message_count = c.message_count + coalesce(cardinality(v_answered), 0) + coalesce(cardinality(v_replies), 0),
      bytes = c.bytes + coalesce(v_asked_bytes, 0) + coalesce(v_reply_bytes, 0),
      expires_at = now + CASE WHEN c.complete OR v_complete THEN p_completed_ttl ELSE coalesce(c.ttl, p_session_ttl) END * interval '1 s'
    WHERE c.session_id = v_last.session_id RETURNING c.expires_at INTO v_session_end;
    UPDATE conversation_states c SET
      last_seq = c.last_seq + coalesce(cardinality(v_answered), 0) + coalesce(cardinality(v_replies), 0),
      committed_fence = p_fence, committed_hash = v_hash, handed = '{}', updated_at = now,
      turn_expires_at = CASE WHEN v_deliver AND v_replies IS NOT NULL AND NOT v_blocked THEN now + p_lease_ms * interval '1 ms' END,
      state = CASE
        WHEN p_commit ? 'state' THEN baton_fitting_v1(p_commit -> 'state', p_max_state)
        WHEN p_commit ? 'state_patch' THEN baton_fitting_v1(baton_merge_patch_v1(c.state, p_commit -> 'state_patch'), p_max_state)
        ELSE c.state END,
      state_version = CASE WHEN v_writes_state THEN nextval('baton_versions') ELSE c.state_version END,
      state_updated_at = CASE WHEN v_writes_state THEN now ELSE c.state_updated_at END,
      session_id = CASE WHEN v_complete AND c.session_id = v_last.session_id THEN NULL ELSE c.session_id END,
      session_expires_at = CASE WHEN c.session_id = v_last.session_id THEN v_session_end ELSE c.session_expires_at END
    WHERE c.device_id = p_device;
    -- a lock that somebody else moved since the grant stands
    IF v_is_free THEN
      CASE p_commit -> 'lock' ->> 'do'
        WHEN 'set' THEN
          PERFORM baton_move_lock_v1(p_device, p_commit -> 'lock' ->> 'agent', (p_commit -> 'lock' ->> 'ttl')::int, now);
        WHEN 'clear' THEN
          IF s.active_agent IS NOT NULL AND s.lock_expires_at > now THEN
            PERFORM baton_move_lock_v1(p_device, NULL, NULL, now);
          END IF;
        WHEN 'renew' THEN
          IF s.active_agent IS NOT NULL AND s.lock_expires_at > now THEN
            PERFORM baton_move_lock_v1(p_device, s.active_agent, (p_commit -> 'lock' ->> 'ttl')::int, now);
          END IF;
        ELSE NULL;
      END CASE;
    END IF;
  ELSE
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;

  -- what follows is read, not written, and so the same for a repeated call
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  lock := baton_lock_view_v1(s, now);
  SELECT jsonb_agg(jsonb_build_object('id', m.id::text, 'message_id', m.external_id) ORDER BY m.seq), min(m.session_id::text)::uuid INTO answered, session_id
  FROM chat_messages m WHERE m.id = ANY (v_answered);
  SELECT jsonb_agg(baton_reply_view_v1(m, now) ORDER BY m.seq) INTO replies
  FROM chat_messages m WHERE m.id = ANY (v_replies);
  deliver := s.turn_fence = p_fence AND s.turn_expires_at IS NOT NULL;
  IF NOT deliver THEN
    turn := baton_take_v1(p_device, 'after:' || p_fence, p_lane, p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
  END IF;
  RETURN NEXT;
END $$;
