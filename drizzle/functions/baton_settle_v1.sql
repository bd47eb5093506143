-- SETTLE: what became of the replies the turn had to send, then the turn's end, or the next one if more waits and
-- p_lease_ms is not 0. p_results: [{id, status, external_id?, error?, retry_ms?, untried?, instead?: {content,
-- metadata, agent}}]; outcome: settled or lost. instead: goes out in the place of a failed reply, once until the
-- person writes again.
-- One that comes too late may still say what nobody else knows: that the channel took a reply, or never will.
CREATE OR REPLACE FUNCTION baton_settle_v1(
  p_device uuid, p_fence bigint, p_results jsonb, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (outcome text, now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  v_instead record;
BEGIN
  PERFORM baton_replan_v1();
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  IF s.turn_fence = p_fence AND s.committed_fence = p_fence AND s.turn_expires_at IS NOT NULL THEN
    UPDATE chat_messages m SET external_id = coalesce(r.external_id, m.external_id), error = r.error,
      attempts = m.attempts - coalesce(r.untried, false)::int,
      status = CASE WHEN r.status IN ('pending', 'unknown') AND r.untried IS NOT TRUE AND m.attempts >= p_max_attempts
        THEN 'failed' ELSE r.status END,
      claim_expires_at = now + coalesce(r.retry_ms, CASE WHEN r.status = 'unknown' THEN p_resend_ms ELSE 0 END) * interval '1 ms'
    FROM jsonb_to_recordset(p_results) AS r (id bigint, status text, external_id text, error text, retry_ms int, untried boolean)
    WHERE m.id = r.id AND m.device_id = p_device AND m.status = 'sending';
    FOR v_instead IN
      SELECT m AS reply, r.instead FROM jsonb_to_recordset(p_results) AS r (id bigint, status text, instead jsonb)
      JOIN chat_messages m ON m.id = r.id AND m.device_id = p_device
      WHERE r.instead IS NOT NULL AND m.status = 'failed' ORDER BY m.seq
    LOOP
      PERFORM baton_send_instead_v1(v_instead.reply, v_instead.instead, now);
    END LOOP;
    -- a reply the worker says nothing of may be out or not
    UPDATE chat_messages m SET status = 'unknown', claim_expires_at = now + p_resend_ms * interval '1 ms'
    WHERE m.device_id = p_device AND m.status = 'sending';
    UPDATE conversation_states c SET turn_expires_at = NULL, updated_at = now WHERE c.device_id = p_device;
  ELSE
    UPDATE chat_messages m SET external_id = coalesce(m.external_id, r.external_id), error = r.error, status = r.status
    FROM jsonb_to_recordset(p_results) AS r (id bigint, status text, external_id text, error text)
    WHERE m.id = r.id AND m.device_id = p_device AND m.status = 'unknown' AND r.status IN ('sent', 'failed');
    -- what is not lost was settled before, or found lapsed by somebody who had nothing to take
    IF NOT coalesce(s.turn_owner = 'after:' || p_fence OR (s.turn_fence = p_fence AND s.committed_fence = p_fence), false) THEN
      outcome := 'lost';
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  outcome := 'settled';
  IF p_lease_ms > 0 THEN
    turn := baton_take_v1(p_device, 'after:' || p_fence, 'builtin', p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
  END IF;
  RETURN NEXT;
END $$;
