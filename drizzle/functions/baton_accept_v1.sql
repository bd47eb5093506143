-- ACCEPT: stores messages of any number of devices, each once, and takes the turns that are free.
-- p_messages: [{device_id} or {session_id, owner} or {phone, user_id, dial, becomes: {phone, user_id}}, channel,
--   account, external_id, content, metadata, sent_at, answer_within (seconds), turn: false, author: 'human', human_ttl
--   (seconds), revokes, max_waiting, per_minute]
-- A message for a session that is over or complete, for a device where max_waiting messages wait, or one too many within a
-- minute, is refused, and says why. Of a session that is unknown, or not its owner's, no row is returned: nobody is told the device.
-- Lock order: identities, state rows by device, new messages by key, messages that were there.
-- Planned once per connection and size of the tables (baton_replan_v1): planned each time it took three times as long. Always by
-- index: for a list of unknown length the planner likes to read a whole table of a few thousand rows (1.8 ms in place of
-- 0.05). And each row of a batch is looked up by itself, which OFFSET 0 says: of a join the planner may put the table outside.
CREATE OR REPLACE FUNCTION baton_accept_v1(
  p_messages jsonb, p_request text, p_lane text, p_max_turns int,
  p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int, p_session_ttl int
) RETURNS TABLE (device_id uuid, now timestamptz, messages jsonb, lock jsonb, waiting boolean, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  s conversation_states;
  -- senders that have to be looked up
  v_named boolean := jsonb_path_exists(p_messages, '$[*] ? (exists (@.phone) || exists (@.user_id))');
  v_unerased jsonb;
  v_of uuid[];
  v_keys bytea[];
  v_devices uuid[];
  v_device uuid;
  v_results jsonb;
  v_now timestamptz;
  v_taken int := 0;
BEGIN
  PERFORM baton_replan_v1();
  IF v_named THEN
    v_unerased := baton_unerased_v1(p_messages);
    PERFORM baton_link_v1(v_unerased);
  END IF;
  v_of := baton_resolve_v1(p_messages);
  SELECT array_agg(q.d ORDER BY q.d) INTO v_devices FROM (SELECT DISTINCT d FROM unnest(v_of) d WHERE d IS NOT NULL) q;
  -- a session's device is its account
  SELECT array_agg(baton_dedupe_key_v1(m ->> 'channel', coalesce(m ->> 'account', v_of[ord]::text), m ->> 'external_id') ORDER BY ord) INTO v_keys
  FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord);

  INSERT INTO conversation_states (device_id)
  SELECT d FROM unnest(v_devices) d WHERE NOT EXISTS (SELECT FROM conversation_states c WHERE c.device_id = d OFFSET 0)
  ORDER BY d ON CONFLICT DO NOTHING;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  IF baton_resolve_v1(p_messages) IS DISTINCT FROM v_of OR (v_named AND baton_unerased_v1(p_messages) <> v_unerased) THEN
    -- an erase, a link or a merge came between. Giving up drops every lock; going round again in here would take them
    -- out of order
    RAISE EXCEPTION 'an identity moved' USING ERRCODE = '40001';
  END IF;
  v_now := baton_now_v1();

  PERFORM baton_store_v1(p_messages, p_request, p_lane, p_session_ttl, v_of, v_keys, v_now);
  SELECT jsonb_object_agg(q.device_id, q.list) INTO v_results FROM (
    -- a session that is over is absent, also to a message it took before
    SELECT v_of[k.ord] AS device_id, jsonb_agg(jsonb_build_object('rate', n.rate) || CASE WHEN m.id IS NULL OR r.reason = 'session_not_found'
      THEN jsonb_build_object('index', k.ord - 1, 'refused', coalesce(r.reason, CASE WHEN n.rate ->> 'left' = '0' THEN 'too_fast' ELSE 'rate_limited' END))
      ELSE jsonb_build_object('index', k.ord - 1, 'id', m.id::text, 'message_id', m.external_id, 'session_id', m.session_id,
        'status', m.status, 'duplicate', m.request_id IS DISTINCT FROM p_request) END ORDER BY k.ord) AS list
    FROM unnest(v_keys) WITH ORDINALITY AS k (key, ord)
      LEFT JOIN LATERAL (SELECT * FROM chat_messages c WHERE c.dedupe_key = k.key OFFSET 0) m ON true,
      LATERAL (SELECT (e.m ->> 'session_id')::uuid AS session, CASE WHEN e.m ? 'per_minute' THEN (
          SELECT baton_rate_v1(c.rate_until, (e.m ->> 'per_minute')::int, v_now) FROM conversation_states c WHERE c.device_id = v_of[k.ord]) END AS rate
        FROM (SELECT p_messages -> (k.ord - 1)::int AS m) e) n,
      LATERAL (SELECT CASE WHEN n.session IS NOT NULL THEN baton_session_refusal_v1(n.session, v_now) END AS reason) r
    WHERE v_of[k.ord] IS NOT NULL
    GROUP BY v_of[k.ord]) q;

  FOR v_device IN
    -- first the turns that an earlier try of this very call took
    SELECT c.device_id FROM conversation_states c WHERE c.device_id = ANY (v_devices)
    ORDER BY coalesce(c.turn_owner = p_request AND c.turn_expires_at > v_now, false) DESC, c.device_id
  LOOP
    device_id := v_device;
    turn := NULL;
    IF v_taken < p_max_turns THEN
      turn := baton_take_v1(v_device, p_request, p_lane, p_lease_ms, p_history, p_max_attempts, p_resend_ms, v_now);
      v_taken := v_taken + (turn IS NOT NULL)::int;
    END IF;
    SELECT * INTO s FROM conversation_states c WHERE c.device_id = v_device;
    now := v_now;
    messages := v_results -> v_device::text;
    lock := baton_lock_view_v1(s, v_now);
    waiting := turn IS NULL AND EXISTS (
      SELECT FROM chat_messages m WHERE m.device_id = s.device_id AND m.lane = p_lane AND m.status = 'waiting');
    RETURN NEXT;
  END LOOP;
END $$;
