-- STATUSES: what the channel says became of replies, many at once. p_statuses: [{account, external_id, reply_id?,
-- status: sent | delivered | read | failed, error?, retry_ms?}], in their order.
-- A reply is found by its own id, which went out with it, or by the channel's id. Statuses only move forward, and may
-- come before the sender has settled: what stands here then stays. failed is final, unless it says when to try again.
-- known: how many were about a reply that is kept here.
CREATE OR REPLACE FUNCTION baton_note_statuses_v1(p_statuses jsonb, p_channel text, p_max_attempts int)
RETURNS TABLE (now timestamptz, known int)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_found jsonb;
  n record;
BEGIN
  PERFORM baton_replan_v1();
  -- one of them per reply: the furthest, a failure before all
  SELECT jsonb_agg(q), count(*) INTO v_found, known FROM (
    SELECT DISTINCT ON (f.id) f.id, f.device_id, f.external_id, f.status, f.error, f.retry_ms FROM (
      SELECT coalesce(
          (SELECT m.id FROM chat_messages m
           WHERE m.id = s.reply_id AND m.role = 'assistant' AND (m.channel, m.account) = (p_channel, s.account)),
          (SELECT m.id FROM chat_messages m
           WHERE (m.channel, m.account, m.external_id) = (p_channel, s.account, s.external_id) AND m.role = 'assistant' AND m.dedupe_key IS NULL
           LIMIT 1)) AS reply, s.*
      FROM jsonb_to_recordset(p_statuses) AS s (account text, external_id text, reply_id bigint, status text, error text, retry_ms int)) p
    JOIN LATERAL (SELECT m.id, m.device_id, p.external_id, p.status, p.error, p.retry_ms FROM chat_messages m WHERE m.id = p.reply OFFSET 0) f ON true
    ORDER BY f.id, array_position('{failed,read,delivered,sent}', f.status)) q;
  PERFORM FROM conversation_states c
  WHERE c.device_id IN (SELECT (e ->> 'device_id')::uuid FROM jsonb_array_elements(v_found) e) ORDER BY c.device_id FOR UPDATE;
  now := baton_now_v1();
  FOR n IN
    SELECT f.* FROM jsonb_to_recordset(v_found) AS f (id bigint, external_id text, status text, error text, retry_ms int)
  LOOP
    UPDATE chat_messages m SET external_id = coalesce(n.external_id, m.external_id), error = n.error,
      status = CASE WHEN n.retry_ms IS NOT NULL AND m.attempts < p_max_attempts THEN 'pending' ELSE n.status END,
      claim_expires_at = CASE WHEN n.retry_ms IS NOT NULL THEN now + n.retry_ms * interval '1 ms' ELSE m.claim_expires_at END
    WHERE m.id = n.id AND coalesce(array_position('{pending,sending,unknown,sent,delivered,read}', m.status), 99)
      < coalesce(array_position('{pending,sending,unknown,sent,delivered,read}', n.status), 5)
      -- of several attempts each has an id of its own: one that failed says nothing of the next
      AND CASE WHEN m.external_id IS NULL THEN true
        WHEN m.status IN ('pending', 'sending', 'unknown') THEN n.external_id <> m.external_id
        ELSE n.external_id = m.external_id END;
  END LOOP;
  RETURN NEXT;
END $$;
