-- the functions call each other; their bodies are checked when they run
--> statement-breakpoint
SET LOCAL check_function_bodies = off;
--> statement-breakpoint
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

--> statement-breakpoint
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

--> statement-breakpoint
-- CLEAN-UP, one batch of each kind: lapsed locks, ended sessions, keys that nobody will send again; and past retention the
-- messages of sessions that are over, then the sessions, the timeline, and identities of whose device nothing is left. Rows are
-- found by index, passed by when somebody holds them, and looked at again under their lock; two may run at once.
-- Sorting is off so that each list is read from its index, and only as far as a batch goes; what is found is then written by
-- its keys, because a join that was planned while the tables were empty reads all of them later.
CREATE OR REPLACE FUNCTION baton_clean_v1(p_batch int, p_retention_days int)
RETURNS TABLE (now timestamptz, expired_locks int, expired_sessions int, purged_messages int, more boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_sort = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_old timestamptz;
  v_keep timestamptz;
  v_devices uuid[];
  v_over uuid[] := '{}';
  v_ids bigint[];
  v_events int := 0;
  v_count int;
BEGIN
  PERFORM baton_replan_v1();
  now := baton_now_v1();
  SELECT array_agg(q.device_id) INTO v_devices FROM (
    SELECT c.device_id FROM conversation_states c WHERE c.active_agent IS NOT NULL AND c.lock_expires_at <= now
    ORDER BY c.lock_expires_at LIMIT p_batch FOR UPDATE SKIP LOCKED) q;
  UPDATE conversation_states c SET active_agent = NULL, locked_at = NULL, lock_expires_at = NULL,
    updated_at = now -- the version stays: nobody moved this lock, it had ended before
  WHERE c.device_id = ANY (v_devices);
  GET DIAGNOSTICS expired_locks = ROW_COUNT;

  SELECT array_agg(q.device_id) INTO v_devices FROM (
    SELECT c.device_id FROM conversation_states c WHERE c.session_id IS NOT NULL AND c.session_expires_at <= now
    ORDER BY c.session_expires_at LIMIT p_batch FOR UPDATE SKIP LOCKED) q;
  UPDATE conversation_states c SET session_id = NULL, session_expires_at = NULL, updated_at = now WHERE c.device_id = ANY (v_devices);
  GET DIAGNOSTICS expired_sessions = ROW_COUNT;

  v_keep := now - interval '8 days'; -- a provider retries for seven: until then the key must stay to be known again
  SELECT array_agg(q.id) INTO v_ids FROM (
    SELECT m.id FROM chat_messages m WHERE m.status = 'erased' AND m.created_at <= v_keep
    ORDER BY m.created_at LIMIT p_batch FOR UPDATE SKIP LOCKED) q;
  DELETE FROM chat_messages m WHERE m.id = ANY (v_ids);
  GET DIAGNOSTICS purged_messages = ROW_COUNT;
  IF p_retention_days > 0 THEN
    v_old := now - p_retention_days * interval '1 day';
    -- sessions of which something can go: not those of which only unanswered or unsent messages are left
    SELECT coalesce(array_agg(q.session_id), '{}') INTO v_over FROM (
      SELECT c.session_id FROM chat_sessions c
      WHERE c.last_activity <= v_old AND c.expires_at <= now
        AND coalesce(
          (SELECT true FROM chat_messages m
           WHERE m.session_id = c.session_id AND m.status NOT IN ('waiting', 'pending', 'sending', 'unknown', 'erased') LIMIT 1),
          (SELECT false FROM chat_messages m
           WHERE m.session_id = c.session_id AND m.status IN ('waiting', 'pending', 'sending', 'unknown') LIMIT 1), true)
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE SKIP LOCKED) q;
    SELECT array_agg(q.id) INTO v_ids FROM (
      SELECT m.id FROM chat_messages m
      WHERE m.session_id = ANY (v_over) AND m.status NOT IN ('waiting', 'pending', 'sending', 'unknown')
        AND (m.created_at <= v_keep OR m.dedupe_key IS NULL)
      LIMIT p_batch FOR UPDATE SKIP LOCKED) q;
    DELETE FROM chat_messages m WHERE m.id = ANY (v_ids);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    purged_messages := purged_messages + v_count;
    SELECT array_agg(q.id) INTO v_ids FROM (
      SELECT m.id FROM chat_messages m
      WHERE m.session_id = ANY (v_over) AND m.status NOT IN ('waiting', 'pending', 'sending', 'unknown', 'erased')
        AND (m.created_at > v_keep AND m.dedupe_key IS NOT NULL) IS TRUE -- which no index knows: the sessions' is meant
      LIMIT p_batch FOR UPDATE SKIP LOCKED) q;
    UPDATE chat_messages m SET content = '', metadata = '{}', address = NULL, status = 'erased', seq = NULL, external_id = NULL
    WHERE m.id = ANY (v_ids);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    purged_messages := purged_messages + v_count;
    -- keys may outlive their session
    DELETE FROM chat_sessions c
    WHERE c.session_id = ANY (v_over) AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.session_id = c.session_id AND m.status <> 'erased');
    SELECT array_agg(q.id) INTO v_ids FROM (
      SELECT e.id FROM lock_events e WHERE e.ended_at <= v_old ORDER BY e.ended_at LIMIT p_batch FOR UPDATE SKIP LOCKED) q;
    DELETE FROM lock_events e WHERE e.id = ANY (v_ids);
    GET DIAGNOSTICS v_events = ROW_COUNT;
  END IF;
  more := greatest(expired_locks, expired_sessions, purged_messages, cardinality(v_over), v_events) >= p_batch;
  -- last of all: whose name is looked at while something of theirs is still to be purged keeps it for another retention
  IF p_retention_days > 0 AND NOT more THEN more := baton_clean_identities_v1(p_batch, v_old, now) >= p_batch; END IF;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Ends the holding if the guard holds; guard as in baton_set_lock_v1. Nothing held and no guard: nothing to do. One
-- that has lapsed is left to the clean-up: nobody moved it, so its version must stay.
CREATE OR REPLACE FUNCTION baton_clear_lock_v1(p_device uuid, p_versions bigint[]) RETURNS TABLE (now timestamptz, written boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  v_live boolean;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  v_live := coalesce(s.active_agent IS NOT NULL AND s.lock_expires_at > now, false);
  written := p_versions IS NULL OR (v_live AND (p_versions = '{}' OR s.lock_version = ANY (p_versions)));
  IF written AND v_live THEN
    PERFORM baton_move_lock_v1(p_device, NULL, NULL, now);
  END IF;
  RETURN NEXT;
END $$;

--> statement-breakpoint
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

--> statement-breakpoint
-- Begins a chat session, which becomes its device's current one. p_session is the caller's: sent again, it gives what
-- was made the first time. p_max_live, p_max_hourly: sessions that live, and that were begun within an hour, of the
-- user, or of the device where none is named; 0: any number. session null: there are that many.
-- The advisory lock lets the creations of one user pass one after the other: two at once would both find room.
-- That the user was on the device is noted as an identity: an erasure of the user finds the device by it for as long as
-- anything is kept there, also once the session is gone.
CREATE OR REPLACE FUNCTION baton_create_session_v1(
  p_session uuid, p_device uuid, p_user text, p_channel text, p_metadata jsonb, p_ttl int, p_session_ttl int, p_max_live int, p_max_hourly int
) RETURNS TABLE (now timestamptz, session jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  t chat_sessions;
  v_live bigint;
  v_begun bigint;
  v_asked uuid := p_device;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  PERFORM pg_advisory_xact_lock(hashtextextended(coalesce('user ' || p_user, 'device ' || p_device), 0));
  now := baton_now_v1();
  SELECT * INTO t FROM chat_sessions c WHERE c.session_id = p_session;
  IF t.session_id IS NULL THEN
    SELECT count(*) FILTER (WHERE c.expires_at > now), count(*) FILTER (WHERE c.created_at > now - interval '1 hour') INTO v_live, v_begun
    FROM baton_session_scope_v1(p_user, CASE WHEN p_user IS NULL THEN p_device END, NULL, false, now - interval '1 hour') c;
    IF (p_max_live > 0 AND v_live >= p_max_live) OR (p_max_hourly > 0 AND v_begun >= p_max_hourly) THEN
      RETURN NEXT;
      RETURN;
    END IF;
    IF p_user IS NOT NULL THEN
      -- before the state row, as everywhere; and held, or a clean-up could take it away meanwhile
      INSERT INTO channel_identities AS i (channel, account, kind, value, device_id)
      VALUES (p_channel, p_device::text, 'user', p_user, p_device)
      ON CONFLICT (channel, account, kind, value) DO UPDATE SET device_id = p_device;
    END IF;
    PERFORM FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
    IF baton_linked_v1(v_asked) <> p_device THEN
      RAISE EXCEPTION 'a link came between' USING ERRCODE = '40001';
    END IF;
    now := baton_now_v1();
    INSERT INTO chat_sessions (session_id, device_id, user_id, channel, metadata, ttl, created_at, last_activity, expires_at)
    VALUES (p_session, p_device, p_user, p_channel, p_metadata, p_ttl, now, now, now + coalesce(p_ttl, p_session_ttl) * interval '1 s')
    RETURNING * INTO t;
    INSERT INTO conversation_states AS c (device_id, session_id, session_expires_at, updated_at)
    VALUES (p_device, p_session, t.expires_at, now)
    ON CONFLICT (device_id) DO UPDATE SET session_id = p_session, session_expires_at = t.expires_at, updated_at = now;
  END IF;
  session := baton_session_view_v1(t, true);
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Deletes a chat session with what was said in it. Rows that carry a key stay, empty, until they are eight days old, so
-- that a redelivery is known. A worker that is at an answer in it loses the turn: words of the
-- session must not come back with its COMMIT, as replies or in the state. What it is only sending it may settle.
-- p_owner: only a session of this device; null: of any. p_expired: also one that is over.
CREATE OR REPLACE FUNCTION baton_delete_session_v1(p_session uuid, p_owner uuid, p_expired boolean) RETURNS TABLE (now timestamptz, deleted boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  t chat_sessions;
BEGIN
  PERFORM baton_replan_v1();
  p_owner := baton_linked_v1(p_owner);
  PERFORM FROM conversation_states s JOIN chat_sessions c ON c.device_id = s.device_id WHERE c.session_id = p_session FOR UPDATE OF s;
  SELECT * INTO t FROM chat_sessions c WHERE c.session_id = p_session FOR UPDATE;
  now := baton_now_v1();
  deleted := t.session_id IS NOT NULL AND (p_expired OR t.expires_at > now) AND (p_owner IS NULL OR t.device_id = p_owner);
  IF deleted THEN
    UPDATE conversation_states s SET turn_fence = nextval('baton_versions'), turn_owner = NULL, turn_expires_at = NULL, handed = '{}'
    WHERE s.device_id = t.device_id AND s.turn_expires_at IS NOT NULL AND s.committed_fence IS DISTINCT FROM s.turn_fence
      AND EXISTS (SELECT FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.session_id = p_session);
    UPDATE conversation_states s SET session_id = NULL, session_expires_at = NULL, updated_at = now
    WHERE s.device_id = t.device_id AND s.session_id = p_session;
    DELETE FROM chat_messages m
    WHERE m.session_id = p_session AND CASE WHEN m.dedupe_key IS NOT NULL THEN m.created_at <= now - interval '8 days' AND m.status <> 'erased' ELSE true END;
    UPDATE chat_messages m SET content = '', metadata = '{}', address = NULL, status = 'erased', seq = NULL, external_id = NULL
    WHERE m.session_id = p_session AND m.status <> 'erased';
    DELETE FROM chat_sessions c WHERE c.session_id = p_session;
  END IF;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- What is stored about a device, as of one moment (STABLE: every part of it is read from the caller's snapshot). No row
-- where nothing is, also where everything was erased since. p_user: of its chat sessions only this user's; null: all. The last p_limit sessions and holdings.
CREATE OR REPLACE FUNCTION baton_device_v1(p_device uuid, p_user text, p_limit int)
RETURNS TABLE (now timestamptz, created_at timestamptz, updated_at timestamptz, lock jsonb, state jsonb, messages jsonb,
  session_count int, sessions jsonb, events jsonb)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  s conversation_states;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  now := baton_now_v1();
  created_at := s.created_at;
  updated_at := greatest(s.updated_at, s.state_updated_at);
  lock := baton_lock_view_v1(s, now);
  IF s.state IS NOT NULL THEN
    state := jsonb_build_object('version', s.state_version::text, 'bytes', baton_json_bytes_v1(s.state), 'updated_at', s.state_updated_at);
  END IF;
  SELECT jsonb_build_object(
      'user', count(*) FILTER (WHERE m.role = 'user'),
      'assistant', count(*) FILTER (WHERE m.role = 'assistant'),
      'waiting', count(*) FILTER (WHERE m.status = 'waiting'),
      'failed', count(*) FILTER (WHERE m.status = 'failed' AND m.role = 'user'))
  INTO messages FROM chat_messages m WHERE m.device_id = p_device AND m.status <> 'erased';
  SELECT count(*) INTO session_count FROM chat_sessions c WHERE c.device_id = p_device AND (p_user IS NULL OR c.user_id = p_user);
  SELECT jsonb_agg(baton_session_view_v1(q.c, false) ORDER BY (q.c).last_activity DESC, (q.c).session_id DESC) INTO sessions FROM (
    SELECT c FROM chat_sessions c WHERE c.device_id = p_device AND (p_user IS NULL OR c.user_id = p_user)
    ORDER BY c.last_activity DESC, c.session_id DESC LIMIT p_limit) q;
  SELECT jsonb_agg(jsonb_build_object('agent', q.agent, 'from', q.started_at, 'to', q.ended_at, 'reason', q.reason) ORDER BY q.id DESC)
  INTO events FROM (
    -- a lapsed holding is noted by whoever comes next; until then it stands in the row alone
    SELECT 9223372036854775807 AS id, s.active_agent AS agent, s.locked_at AS started_at, s.lock_expires_at AS ended_at, 'expired' AS reason
    WHERE s.active_agent IS NOT NULL AND lock IS NULL
    UNION ALL
    (SELECT e.id, e.agent, e.started_at, e.ended_at, e.reason FROM lock_events e WHERE e.device_id = p_device ORDER BY e.id DESC LIMIT p_limit)
    ORDER BY id DESC LIMIT p_limit) q;
  IF s.erased_at IS NULL OR lock IS NOT NULL OR state IS NOT NULL OR sessions IS NOT NULL OR events IS NOT NULL
    OR EXISTS (SELECT FROM chat_messages m WHERE m.device_id = p_device AND m.status <> 'erased')
    OR EXISTS (SELECT FROM chat_sessions c WHERE c.device_id = p_device) THEN
    RETURN NEXT;
  END IF;
END $$;

--> statement-breakpoint
-- ERASE: everything of a device and of the one it is linked to, or of a user (p_device null): of that user's devices at
-- most p_limit in one call, more: call again. Those are the devices where the user has a chat session, or had one and
-- something is still kept. Of a device on which others have chat sessions too (shared) only the user's
-- own sessions go, for lock and state may be the others'. State rows are blanked; messages that carry a key stay, empty,
-- until they are eight days old, so that a redelivery is known and brings no word back.
-- A worker that is at an answer there loses the turn. Lock order: identities, state rows by device, messages.
CREATE OR REPLACE FUNCTION baton_erase_v1(p_device uuid, p_user text, p_limit int)
RETURNS TABLE (now timestamptz, devices int, shared int, sessions int, messages int, holdings int, identities int, more boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_devices uuid[] := CASE WHEN p_user IS NULL THEN ARRAY[least(p_device, baton_linked_v1(p_device)), greatest(p_device, baton_linked_v1(p_device))]
    ELSE ARRAY(
      SELECT c.device_id FROM chat_sessions c WHERE c.user_id = p_user
      UNION SELECT i.device_id FROM channel_identities i WHERE i.kind = 'user' AND i.value = p_user
      ORDER BY device_id LIMIT p_limit) END;
  v_whole uuid[];
  v_sessions uuid[];
  v_locked jsonb;
  v_deleted int;
BEGIN
  PERFORM baton_replan_v1();
  v_locked := baton_identities_of_v1(v_devices);
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  IF baton_identities_of_v1(v_devices) IS DISTINCT FROM v_locked
    OR (p_user IS NULL AND baton_linked_v1(p_device) <> ALL (v_devices)) THEN
    -- one came or went between: giving up drops every lock, as in baton_accept_v1
    RAISE EXCEPTION 'an identity moved' USING ERRCODE = '40001';
  END IF;
  now := baton_now_v1();
  v_whole := ARRAY(SELECT DISTINCT d FROM unnest(v_devices) d
    WHERE p_user IS NULL OR NOT EXISTS (SELECT FROM (SELECT c.user_id FROM chat_sessions c WHERE c.device_id = d OFFSET 0) o WHERE o.user_id <> p_user));
  v_sessions := ARRAY(SELECT c.session_id FROM chat_sessions c
    WHERE c.device_id = ANY (v_devices) AND (c.device_id = ANY (v_whole) OR c.user_id = p_user));

  UPDATE conversation_states s SET turn_fence = nextval('baton_versions'), turn_owner = NULL, turn_expires_at = NULL, handed = '{}'
  WHERE s.device_id = ANY (v_devices) AND s.device_id <> ALL (v_whole)
    AND s.turn_expires_at IS NOT NULL AND s.committed_fence IS DISTINCT FROM s.turn_fence
    AND EXISTS (SELECT FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.session_id = ANY (v_sessions));
  UPDATE conversation_states s SET session_id = NULL, session_expires_at = NULL, updated_at = now
  WHERE s.device_id = ANY (v_devices) AND s.session_id = ANY (v_sessions);
  UPDATE conversation_states s SET
    active_agent = NULL, locked_at = NULL, lock_expires_at = NULL, lock_version = NULL, session_ttl = DEFAULT,
    state = NULL, state_version = NULL, state_updated_at = NULL, session_id = NULL, session_expires_at = NULL, last_seq = 0,
    turn_fence = nextval('baton_versions'), turn_owner = NULL, turn_lane = NULL, turn_expires_at = NULL, handed = NULL,
    granted_lock_version = NULL, granted_state_version = NULL, committed_fence = NULL, committed_hash = NULL,
    rate_until = NULL, erased_at = now, created_at = now, updated_at = now
  WHERE s.device_id = ANY (v_whole);
  devices := coalesce(cardinality(v_whole), 0);
  shared := cardinality(v_devices) - devices;
  IF p_user IS NULL THEN
    -- the device itself and the one it was linked to are one conversation
    devices := (SELECT count(*) FROM conversation_states s WHERE s.device_id = ANY (v_whole));
    shared := 0;
  END IF;

  DELETE FROM chat_messages m
  WHERE m.device_id = ANY (v_devices) AND (m.device_id = ANY (v_whole) OR m.session_id = ANY (v_sessions))
    AND CASE WHEN m.dedupe_key IS NOT NULL THEN m.created_at <= now - interval '8 days' AND m.status <> 'erased' ELSE true END;
  GET DIAGNOSTICS v_deleted = ROW_COUNT;
  UPDATE chat_messages m SET content = '', metadata = '{}', address = NULL, status = 'erased', seq = NULL, external_id = NULL
  WHERE m.device_id = ANY (v_devices) AND (m.device_id = ANY (v_whole) OR m.session_id = ANY (v_sessions)) AND m.status <> 'erased';
  GET DIAGNOSTICS messages = ROW_COUNT;
  messages := messages + v_deleted;
  DELETE FROM chat_sessions c WHERE c.session_id = ANY (v_sessions);
  GET DIAGNOSTICS sessions = ROW_COUNT;
  DELETE FROM lock_events e WHERE e.device_id = ANY (v_whole);
  GET DIAGNOSTICS holdings = ROW_COUNT;
  DELETE FROM channel_identities i
  WHERE i.device_id = ANY (v_devices) AND (i.device_id = ANY (v_whole) OR (i.kind = 'user' AND i.value = p_user));
  GET DIAGNOSTICS identities = ROW_COUNT;
  DELETE FROM link_codes l WHERE l.device_id = ANY (v_whole);
  DELETE FROM link_tries l WHERE l.device_id = ANY (v_whole);
  more := EXISTS (SELECT FROM chat_sessions c WHERE c.user_id = p_user)
    OR EXISTS (SELECT FROM channel_identities i WHERE i.kind = 'user' AND i.value = p_user);
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- A part of everything said in the chat sessions of a scope (as in baton_session_scope_v1; p_session: in this one alone):
-- the sessions in the order of their beginning, after each what was said in it, in order. Starts behind p_session_after
-- and p_seq_after, and ends after p_limit rows or a mebibyte; one row in any case. No row: that was all.
CREATE OR REPLACE FUNCTION baton_export_v1(
  p_session uuid, p_user text, p_device uuid, p_expired boolean, p_begun_after timestamptz, p_session_after uuid, p_seq_after bigint, p_limit int
) RETURNS TABLE (session jsonb, message jsonb, begun timestamptz, session_id uuid, seq bigint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t chat_sessions;
  m chat_messages;
  v_rows int := 0;
  v_bytes bigint := 0;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  FOR t IN
    SELECT c.* FROM (
      SELECT p_session AS session_id WHERE p_session IS NOT NULL
      UNION ALL
      SELECT s.session_id FROM baton_session_scope_v1(p_user, p_device, NULL, p_expired, baton_now_v1()) s
      WHERE p_session IS NULL AND (p_session_after IS NULL OR (s.created_at, s.session_id) >= (p_begun_after, p_session_after))) q
    JOIN LATERAL (SELECT * FROM chat_sessions o WHERE o.session_id = q.session_id OFFSET 0) c ON true
    ORDER BY c.created_at, c.session_id
  LOOP
    begun := t.created_at;
    session_id := t.session_id;
    IF t.session_id IS DISTINCT FROM p_session_after THEN
      session := baton_session_view_v1(t, true);
      message := NULL;
      seq := 0;
      v_rows := v_rows + 1;
      RETURN NEXT;
    END IF;
    session := NULL;
    FOR m IN
      SELECT * FROM chat_messages c
      WHERE c.session_id = t.session_id AND c.seq > CASE WHEN t.session_id = p_session_after THEN p_seq_after ELSE 0 END
      ORDER BY c.seq LIMIT p_limit - v_rows
    LOOP
      message := baton_message_view_v1(m);
      seq := m.seq;
      v_rows := v_rows + 1;
      v_bytes := v_bytes + baton_message_bytes_v1(m);
      RETURN NEXT;
      EXIT WHEN v_bytes >= 1048576;
    END LOOP;
    EXIT WHEN v_rows >= p_limit OR v_bytes >= 1048576;
  END LOOP;
END $$;

--> statement-breakpoint
-- FAIL: the turn came to nothing. Its messages wait again, or are set aside when they have failed too often;
-- until the next try nobody holds the turn and nobody may take it: 1, 4, 16, then 64 seconds.
CREATE OR REPLACE FUNCTION baton_fail_v1(p_device uuid, p_fence bigint, p_error text, p_max_attempts int)
RETURNS TABLE (outcome text, now timestamptz, retry_at timestamptz)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  v_attempts int;
BEGIN
  PERFORM baton_replan_v1();
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  IF s.turn_fence IS DISTINCT FROM p_fence OR s.turn_expires_at IS NULL OR s.committed_fence = p_fence THEN
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;
  v_attempts := baton_count_attempt_v1(s.handed, p_error, p_max_attempts);
  IF v_attempts IS NOT NULL THEN
    retry_at := now + least(power(4, v_attempts - 1), 64) * interval '1 s';
  END IF;
  UPDATE conversation_states c SET turn_fence = nextval('baton_versions'), turn_owner = NULL, handed = '{}',
    turn_expires_at = retry_at, updated_at = now
  WHERE c.device_id = p_device;
  outcome := 'failed';
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- As baton_found_in_scope_v1, in everybody's messages: by the index over all words, or, with p_from, in those from there
-- on (baton_search_from_v1).
CREATE OR REPLACE FUNCTION baton_found_anywhere_v1(p_query tsquery, p_from bigint, p_active boolean, p_expired boolean, p_now timestamptz)
RETURNS TABLE (session_id uuid, last_activity timestamptz, rank real, ids bigint[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT c.session_id, c.last_activity, g.rank, g.ids
  FROM (
    SELECT f.session_id, max(f.rank) AS rank, (array_agg(f.id ORDER BY f.rank DESC, f.id DESC))[1:5] AS ids
    FROM (
      (SELECT m.session_id, m.id, ts_rank(m.search, p_query, 1) AS rank FROM chat_messages m
       WHERE p_from = 0 AND m.search @@ p_query AND m.status <> 'erased')
      UNION ALL
      (SELECT n.session_id, n.id, ts_rank(n.search, p_query, 1)
       FROM (SELECT * FROM chat_messages m WHERE m.id >= p_from ORDER BY m.id OFFSET 0) n -- by id, whatever the words
       WHERE p_from > 0 AND n.search @@ p_query AND n.status <> 'erased')) f
    GROUP BY f.session_id) g
  JOIN LATERAL (SELECT * FROM chat_sessions s WHERE s.session_id = g.session_id OFFSET 0) c ON true
  WHERE (p_expired OR c.expires_at > p_now) AND (p_active IS NULL OR p_active = (c.expires_at > p_now AND NOT c.complete));
END $$;

--> statement-breakpoint
-- The chat sessions of a scope (a user's, a device's) in which a message fits the query, with the best rank and the ids
-- of the five messages that fit best. Goes from the sessions to their messages, so that it costs what the scope holds
-- and not how often everybody else said the words: the index over all words is read through bitmaps, which are off.
CREATE OR REPLACE FUNCTION baton_found_in_scope_v1(
  p_query tsquery, p_user text, p_device uuid, p_active boolean, p_expired boolean, p_now timestamptz
) RETURNS TABLE (session_id uuid, last_activity timestamptz, rank real, ids bigint[])
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT f.session_id, min(f.last_activity), max(f.rank), (array_agg(f.id ORDER BY f.rank DESC, f.id DESC))[1:5]
  FROM (
    SELECT s.session_id, s.last_activity, m.id, ts_rank(m.search, p_query, 1) AS rank
    FROM baton_session_scope_v1(p_user, p_device, p_active, p_expired, p_now) s,
      LATERAL (SELECT * FROM chat_messages c WHERE c.session_id = s.session_id OFFSET 0) m
    WHERE m.search @@ p_query AND m.status <> 'erased'
    OFFSET 0) f -- ranked once, not once for each use
  GROUP BY f.session_id;
END $$;

--> statement-breakpoint
-- The last messages of a chat session before a place in its device's order (null: the end), oldest first: at most
-- p_limit of them, and as many as fit into 4 MiB, one in any case. older: the place to go on from; null: none is older.
-- total null: there is no such session. p_owner: only a session of this device; null: of any. p_expired: also one
-- that is over.
CREATE OR REPLACE FUNCTION baton_history_v1(p_session uuid, p_owner uuid, p_expired boolean, p_before bigint, p_limit int)
RETURNS TABLE (now timestamptz, total int, messages jsonb, older bigint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_first bigint;
BEGIN
  PERFORM baton_replan_v1();
  p_owner := baton_linked_v1(p_owner);
  now := baton_now_v1();
  SELECT c.message_count INTO total FROM chat_sessions c
  WHERE c.session_id = p_session AND (p_expired OR c.expires_at > now) AND (p_owner IS NULL OR c.device_id = p_owner);
  IF total IS NOT NULL THEN
    SELECT jsonb_agg(baton_message_view_v1(h.m) ORDER BY (h.m).seq), min((h.m).seq) INTO messages, v_first FROM (
      SELECT q.m, row_number() OVER w = 1 OR sum(baton_message_bytes_v1(q.m)) OVER w <= 4194304 AS fits FROM (
        SELECT m FROM chat_messages m
        WHERE m.session_id = p_session AND m.seq < coalesce(p_before, 9223372036854775807) ORDER BY m.seq DESC LIMIT p_limit) q
      WINDOW w AS (ORDER BY (q.m).seq DESC)) h
    WHERE h.fits;
    IF EXISTS (SELECT FROM chat_messages m WHERE m.session_id = p_session AND m.seq < v_first) THEN
      older := v_first;
    END IF;
  END IF;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Gives every sender a device, and one person one device. Lock order: phones in key order, then user ids. The user
-- id decides who it is; a phone that is still free leads to it, so that two first messages in parallel do not
-- split a person, and one that is somebody's own does not, so that two people who share a phone stay two.
-- Subqueries on whole keys, not joins: they can only be index probes, also before the table was ever analysed.
CREATE OR REPLACE FUNCTION baton_link_v1(p_messages jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_pairs jsonb;
  m record;
  v_user uuid;
BEGIN
  INSERT INTO channel_identities (channel, account, kind, value, device_id)
  SELECT DISTINCT n.channel, n.account, 'phone', p.value, baton_identity_device_v1(n.channel, n.account, 'phone', p.value)
  FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, becomes jsonb),
    unnest(ARRAY[n.phone, n.becomes ->> 'phone']) AS p (value)
  WHERE p.value IS NOT NULL AND baton_identity_v1(n.channel, n.account, 'phone', p.value) IS NULL
  ORDER BY n.channel, n.account, p.value ON CONFLICT DO NOTHING;

  -- what may have to change: ids that are new, or lead to two devices, or that the channel says have become others
  SELECT jsonb_agg(q) INTO v_pairs FROM (
    SELECT DISTINCT n.channel, n.account, n.phone, n.user_id, NULL::jsonb AS was
    FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
    WHERE n.user_id IS NOT NULL AND (
      baton_identity_v1(n.channel, n.account, 'user_id', n.user_id) IS NULL OR
      baton_identity_v1(n.channel, n.account, 'phone', n.phone) <> baton_identity_v1(n.channel, n.account, 'user_id', n.user_id))
    UNION ALL
    SELECT n.channel, n.account, n.becomes ->> 'phone', n.becomes ->> 'user_id', jsonb_build_object('phone', n.phone, 'user_id', n.user_id)
    FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text, becomes jsonb, external_id text)
    WHERE n.becomes IS NOT NULL
      -- told again days later, the number may be somebody else's
      AND NOT EXISTS (SELECT FROM chat_messages c WHERE c.dedupe_key = baton_dedupe_key_v1(n.channel, n.account, n.external_id) OFFSET 0)) q;
  IF v_pairs IS NULL THEN
    RETURN;
  END IF;

  FOR m IN
    SELECT DISTINCT n.channel, n.account, n.phone FROM jsonb_to_recordset(v_pairs) AS n (channel text, account text, phone text)
    WHERE n.phone IS NOT NULL ORDER BY n.channel, n.account, n.phone
  LOOP
    PERFORM FROM channel_identities p
    WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone) FOR UPDATE;
  END LOOP;
  FOR m IN
    SELECT * FROM jsonb_to_recordset(v_pairs) AS n (channel text, account text, phone text, user_id text, was jsonb)
    ORDER BY n.was IS NOT NULL, n.channel, n.account, n.user_id, n.phone
  LOOP
    IF m.was IS NULL THEN
      PERFORM baton_link_pair_v1(m.channel, m.account, m.phone, m.user_id);
    ELSE
      v_user := coalesce(baton_identity_v1(m.channel, m.account, 'user_id', m.was ->> 'user_id'),
        baton_identity_v1(m.channel, m.account, 'phone', m.was ->> 'phone'));
      INSERT INTO channel_identities (channel, account, kind, value, device_id)
      SELECT m.channel, m.account, 'user_id', m.user_id, v_user WHERE m.user_id IS NOT NULL AND v_user IS NOT NULL
      ON CONFLICT (channel, account, kind, value) DO UPDATE SET device_id = v_user;
      -- the old number still leads here until somebody else writes with it
      UPDATE channel_identities p SET device_id = v_user
      WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone) AND v_user IS NOT NULL;
    END IF;
  END LOOP;
END $$;

--> statement-breakpoint
-- A page of the chat sessions of a scope (as in baton_session_scope_v1), the latest activity first, behind p_time_after
-- and p_session_after. One more than p_limit where others follow. total: of all pages.
CREATE OR REPLACE FUNCTION baton_list_sessions_v1(
  p_user text, p_device uuid, p_active boolean, p_expired boolean, p_time_after timestamptz, p_session_after uuid, p_limit int
) RETURNS TABLE (now timestamptz, total int, sessions jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  now := baton_now_v1();
  WITH scope AS MATERIALIZED (
    SELECT * FROM baton_session_scope_v1(p_user, p_device, p_active, p_expired, now)),
  page AS (
    SELECT s.session_id FROM scope s
    WHERE p_session_after IS NULL OR (s.last_activity, s.session_id) < (p_time_after, p_session_after)
    ORDER BY s.last_activity DESC, s.session_id DESC LIMIT p_limit + 1)
  SELECT (SELECT count(*) FROM scope),
    (SELECT jsonb_agg(baton_session_view_v1(c, false) ORDER BY c.last_activity DESC, c.session_id DESC)
     FROM page p JOIN LATERAL (SELECT * FROM chat_sessions s WHERE s.session_id = p.session_id OFFSET 0) c ON true)
  INTO total, sessions;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- What is monitored, as of one moment: each list from an index of its own, and none that grows with all that is kept but the
-- sessions'. Seconds. Replies: those that are not out yet, all; of the others those of the last day.
CREATE OR REPLACE FUNCTION baton_metrics_v1()
RETURNS TABLE (now timestamptz, locks jsonb, lock_age jsonb, sessions jsonb, waiting int, failed int, replies jsonb, counters jsonb)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
BEGIN
  PERFORM baton_replan_v1();
  now := baton_now_v1();
  WITH live AS MATERIALIZED (
    SELECT c.active_agent AS agent, extract(epoch FROM now - c.locked_at)::float8 AS age
    FROM conversation_states c WHERE c.active_agent IS NOT NULL AND c.lock_expires_at > now)
  SELECT (SELECT jsonb_agg(jsonb_build_object('agent', q.agent, 'active', q.n) ORDER BY q.agent)
      FROM (SELECT l.agent, count(*) AS n FROM live l GROUP BY l.agent) q),
    (SELECT jsonb_build_object('count', count(*), 'sum', coalesce(sum(l.age), 0),
      'median', percentile_disc(0.5) WITHIN GROUP (ORDER BY l.age), 'p95', percentile_disc(0.95) WITHIN GROUP (ORDER BY l.age)) FROM live l)
  INTO locks, lock_age;
  sessions := baton_session_figures_v1(now);
  SELECT count(*) INTO waiting FROM chat_messages m WHERE m.status = 'waiting';
  SELECT count(*) INTO failed FROM chat_messages m WHERE m.status = 'failed' AND m.role = 'user';
  SELECT jsonb_object_agg(q.status, q.n) INTO replies FROM (
    SELECT m.status, count(*) AS n FROM chat_messages m WHERE m.status IN ('pending', 'sending', 'unknown') GROUP BY m.status
    UNION ALL
    SELECT m.status, count(*) FROM chat_messages m
    WHERE m.created_at > now - interval '1 day' AND m.role = 'assistant' AND m.status NOT IN ('pending', 'sending', 'unknown', 'erased')
    GROUP BY m.status) q;
  SELECT jsonb_agg(jsonb_build_object('name', c.name, 'label', c.label, 'value', c.value, 'updated_at', c.updated_at) ORDER BY c.name, c.label)
  INTO counters FROM counters c;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- NEXT: takes the free turns among these devices, at most p_max_turns, if something waits there in the lane or, in
-- the builtin one, a reply is due; first the ones that an earlier try of this very call took. All that may have work
-- are locked, as some turn out to have none: what waited is set aside, or a reply must rest. One row per turn; where
-- none was taken, one row with the clock alone.
CREATE OR REPLACE FUNCTION baton_next_v1(
  p_devices uuid[], p_request text, p_lane text, p_max_turns int,
  p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  -- to choose by; what decides is the clock read under the locks
  v_start timestamptz := baton_now_v1();
  v_devices uuid[];
  v_device uuid;
  v_taken int := 0;
BEGIN
  PERFORM baton_replan_v1();
  IF p_lane = 'external' THEN
    -- its workers name the device they were told of; what waited there before it was linked is theirs as well
    p_devices := p_devices || ARRAY(SELECT baton_linked_v1(d) FROM unnest(p_devices) d);
  END IF;
  SELECT array_agg(c.device_id ORDER BY coalesce(c.turn_owner = p_request AND c.turn_expires_at > v_start, false) DESC, c.device_id)
  INTO v_devices FROM conversation_states c
  WHERE c.device_id = ANY (p_devices)
    AND (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
    AND (EXISTS (SELECT FROM chat_messages m WHERE m.device_id = c.device_id AND m.lane = p_lane AND m.status = 'waiting' OFFSET 0)
      OR p_lane = 'builtin' AND EXISTS (SELECT FROM chat_messages m
        WHERE m.device_id = c.device_id AND m.status IN ('pending', 'sending', 'unknown') AND (m.claim_expires_at <= v_start OR c.turn_owner = p_request) OFFSET 0));
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  now := baton_now_v1();
  FOREACH v_device IN ARRAY coalesce(v_devices, '{}') LOOP
    EXIT WHEN v_taken >= p_max_turns;
    turn := baton_take_v1(v_device, p_request, p_lane, p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
    IF turn IS NOT NULL THEN
      v_taken := v_taken + 1;
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_taken = 0 THEN
    turn := NULL;
    RETURN NEXT;
  END IF;
END $$;

--> statement-breakpoint
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

--> statement-breakpoint
-- Gives a device's conversation a code by which another device may join it: the first of p_codes that no other has. The
-- one it had before is good no more. code null: others have them all.
CREATE OR REPLACE FUNCTION baton_offer_link_v1(p_device uuid, p_codes text[], p_ttl int)
RETURNS TABLE (now timestamptz, code text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_device uuid := baton_linked_v1(p_device);
  v_code text;
BEGIN
  PERFORM baton_replan_v1();
  INSERT INTO conversation_states (device_id) VALUES (v_device) ON CONFLICT DO NOTHING;
  PERFORM FROM conversation_states c WHERE c.device_id = v_device FOR UPDATE;
  IF baton_linked_v1(p_device) <> v_device THEN
    RAISE EXCEPTION 'a link came between' USING ERRCODE = '40001';
  END IF;
  now := baton_now_v1();
  -- a few of those that are over, whosever they are: nothing else takes them away
  DELETE FROM link_codes l WHERE l.code_key = ANY (ARRAY(
    SELECT o.code_key FROM link_codes o WHERE o.expires_at <= now ORDER BY o.expires_at LIMIT 10 FOR UPDATE SKIP LOCKED));
  DELETE FROM link_codes l WHERE l.device_id = v_device;
  FOREACH v_code IN ARRAY p_codes LOOP
    INSERT INTO link_codes (code_key, device_id, expires_at)
    VALUES (baton_link_key_v1(v_code), v_device, now + p_ttl * interval '1 s') ON CONFLICT DO NOTHING;
    IF FOUND THEN
      code := v_code;
      expires_at := now + p_ttl * interval '1 s';
      EXIT;
    END IF;
  END LOOP;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Merges a chat session's metadata (RFC 7396) and, with p_complete, ends it: it stays for p_completed_ttl seconds and is
-- its device's current one no more. Either is a sign of life. p_owner: only a session of this device; null: of any.
-- outcome: patched, not_found, too_large (nothing was written).
CREATE OR REPLACE FUNCTION baton_patch_session_v1(
  p_session uuid, p_owner uuid, p_patch jsonb, p_complete boolean, p_session_ttl int, p_completed_ttl int, p_max_bytes int
) RETURNS TABLE (now timestamptz, outcome text, session jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  t chat_sessions;
  v_metadata jsonb;
BEGIN
  PERFORM baton_replan_v1();
  p_owner := baton_linked_v1(p_owner);
  PERFORM FROM conversation_states s JOIN chat_sessions c ON c.device_id = s.device_id WHERE c.session_id = p_session FOR UPDATE OF s;
  SELECT * INTO t FROM chat_sessions c WHERE c.session_id = p_session FOR UPDATE;
  now := baton_now_v1();
  IF t.session_id IS NULL OR t.expires_at <= now OR t.device_id <> coalesce(p_owner, t.device_id) THEN
    outcome := 'not_found';
    RETURN NEXT;
    RETURN;
  END IF;
  v_metadata := baton_merge_patch_v1(t.metadata, p_patch);
  -- what was larger before may still shrink
  IF p_patch <> '{}' AND octet_length(v_metadata::text) > octet_length(t.metadata::text) AND baton_is_larger_v1(v_metadata, p_max_bytes) THEN
    outcome := 'too_large';
    RETURN NEXT;
    RETURN;
  END IF;
  UPDATE chat_sessions c SET metadata = v_metadata, complete = c.complete OR p_complete, last_activity = now,
    expires_at = now + CASE WHEN c.complete OR p_complete THEN p_completed_ttl ELSE coalesce(c.ttl, p_session_ttl) END * interval '1 s'
  WHERE c.session_id = p_session RETURNING * INTO t;
  UPDATE conversation_states s SET updated_at = now,
    session_id = CASE WHEN NOT t.complete THEN s.session_id END,
    session_expires_at = CASE WHEN NOT t.complete THEN t.expires_at END
  WHERE s.device_id = t.device_id AND s.session_id = p_session;
  outcome := 'patched';
  session := baton_session_view_v1(t, true);
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- RECOVER: takes turns of the builtin lane that somebody has let fall, wherever they are: replies that are due, then
-- messages that wait, the oldest first, where nobody has a live lease. Looks on until p_max_turns are taken or
-- nothing is left, so that no turn means nothing to do. Rows that another call holds are passed by: it is at work
-- there; nothing is waited for, so the order of the locks does not matter.
-- p_rest_ms: milliseconds for which a message is left to whoever stored it.
-- Sorting is off so that each list is read from its index, and only as far as it is needed.
CREATE OR REPLACE FUNCTION baton_recover_v2(
  p_request text, p_max_turns int, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int, p_rest_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
  -- to choose by; what decides is the clock read under each device's lock
  v_start timestamptz := baton_now_v1();
  v_device uuid;
  v_seen uuid[] := '{}';
  v_taken int := 0;
BEGIN
  PERFORM baton_replan_v1();
  FOR v_device IN
    SELECT q.device_id FROM (
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'pending' AND m.claim_expires_at <= v_start ORDER BY m.claim_expires_at)
      UNION ALL
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'unknown' AND m.claim_expires_at <= v_start ORDER BY m.claim_expires_at)
      UNION ALL
      -- also the ones being sent: a repeated call finds its own
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'sending' AND m.claim_expires_at IS NOT NULL ORDER BY m.claim_expires_at)
      UNION ALL
      (SELECT m.device_id, NULL FROM chat_messages m WHERE m.status = 'waiting' AND m.lane = 'builtin'
        AND m.created_at <= v_start - p_rest_ms * interval '1 ms' ORDER BY m.id)) q
    JOIN LATERAL (SELECT * FROM conversation_states s WHERE s.device_id = q.device_id OFFSET 0) c ON true
    WHERE (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
      -- a reply goes out after its predecessor; to be chosen for it would mean to be chosen in vain, each time
      AND (q.seq IS NULL OR NOT EXISTS (
        SELECT FROM chat_messages h WHERE h.device_id = q.device_id AND h.seq < q.seq AND h.status IN ('pending', 'sending', 'unknown') OFFSET 0))
  LOOP
    EXIT WHEN v_taken >= p_max_turns;
    CONTINUE WHEN v_device = ANY (v_seen);
    v_seen := v_seen || v_device;
    PERFORM FROM conversation_states c
    WHERE c.device_id = v_device AND (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
    FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    now := baton_now_v1();
    turn := baton_take_v1(v_device, p_request, 'builtin', p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
    IF turn IS NOT NULL THEN
      v_taken := v_taken + 1;
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_taken = 0 THEN
    now := baton_now_v1();
    turn := NULL;
    RETURN NEXT;
  END IF;
END $$;

--> statement-breakpoint
-- Lets a device join the conversation a code opens. What the device had of its own stays where it is, for when it is
-- unlinked; devices that were linked to it follow. Sent again by the same device it gives the same.
-- outcome: linked; own (the code is its own); invalid (wrong, over, or used by another), which counts; too_many (p_tries
-- wrong ones of this device, or p_tries_all of all devices, within p_window seconds), whatever the code.
-- Lock order: identities, state rows by device; then the advisory lock, behind which wrong tries are counted one by one.
CREATE OR REPLACE FUNCTION baton_redeem_link_v1(p_device uuid, p_code text, p_tries int, p_tries_all int, p_window int)
RETURNS TABLE (now timestamptz, outcome text)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_target uuid := (SELECT l.device_id FROM link_codes l WHERE l.code_key = baton_link_key_v1(p_code));
  v_devices uuid[] := ARRAY[p_device, baton_linked_v1(p_device), coalesce(v_target, p_device)];
  v_identities jsonb := baton_identities_of_v1(v_devices);
  v_since timestamptz;
  l link_codes;
  t link_tries;
BEGIN
  PERFORM baton_replan_v1();
  INSERT INTO conversation_states (device_id)
  SELECT DISTINCT d FROM unnest(v_devices) d ORDER BY d ON CONFLICT DO NOTHING;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  SELECT * INTO l FROM link_codes k WHERE k.code_key = baton_link_key_v1(p_code);
  IF l.device_id IS DISTINCT FROM v_target OR baton_linked_v1(p_device) <> ALL (v_devices)
    OR baton_identities_of_v1(v_devices) IS DISTINCT FROM v_identities THEN
    -- another link, or an erase, came between: giving up drops every lock, as in baton_accept_v1
    RAISE EXCEPTION 'an identity moved' USING ERRCODE = '40001';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('link tries', 0));
  now := baton_now_v1();
  v_since := now - p_window * interval '1 s';
  SELECT * INTO t FROM link_tries k WHERE k.device_id = p_device AND k.since > v_since;
  IF t.tries >= p_tries OR (SELECT sum(k.tries) FROM link_tries k WHERE k.since > v_since) >= p_tries_all THEN
    outcome := 'too_many';
  ELSIF l.expires_at > now AND coalesce(l.redeemed_by, p_device) = p_device THEN
    IF l.device_id = p_device THEN
      outcome := 'own';
    ELSE
      outcome := 'linked';
      UPDATE channel_identities i SET device_id = l.device_id WHERE i.device_id = p_device AND i.kind = 'device';
      INSERT INTO channel_identities (channel, account, kind, value, device_id)
      VALUES ('device', '', 'device', p_device::text, l.device_id)
      ON CONFLICT (channel, account, kind, value) DO UPDATE SET device_id = l.device_id;
      UPDATE link_codes k SET redeemed_by = p_device WHERE k.code_key = l.code_key;
      -- a code of its own would open what it has left
      DELETE FROM link_codes k WHERE k.device_id = p_device;
      DELETE FROM link_tries k WHERE k.device_id = p_device;
    END IF;
  ELSE
    outcome := 'invalid';
    DELETE FROM link_tries k WHERE k.since <= v_since;
    INSERT INTO link_tries AS k (device_id, tries, since) VALUES (p_device, 1, now)
    ON CONFLICT (device_id) DO UPDATE SET tries = k.tries + 1;
  END IF;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Has all plans of this connection made anew once a table is about twice as large as it was when they were made, or half. A plan
-- made for a table of one row reads the whole table, by whatever index, and is kept until ANALYZE comes by: where that had
-- seen an empty database, ACCEPT of 500 messages took 12 s in place of 0.4, and to read a lock among 6,000 devices 0.15 s.
-- Judged by the sizes of the files, as the planner does, and not by what was counted in them on some day. 25 microseconds.
CREATE OR REPLACE FUNCTION baton_replan_v1() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_sizes text := (3 * log(1 + pg_relation_size('conversation_states') / 8192))::int
    || ' ' || (3 * log(1 + pg_relation_size('chat_sessions') / 8192))::int
    || ' ' || (3 * log(1 + pg_relation_size('chat_messages') / 8192))::int
    || ' ' || (3 * log(1 + pg_relation_size('channel_identities') / 8192))::int;
BEGIN
  IF current_setting('baton.planned_for', true) IS DISTINCT FROM v_sizes THEN
    PERFORM set_config('baton.planned_for', v_sizes, false);
    DISCARD PLANS;
  END IF;
END $$;

--> statement-breakpoint
-- Puts messages that were set aside back among the waiting ones, with their tries before them: those of one device,
-- or of all (p_device null), the oldest first, at most p_limit. more: there may be others.
CREATE OR REPLACE FUNCTION baton_retry_failed_v1(p_device uuid, p_limit int)
RETURNS TABLE (now timestamptz, retried int, more boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_ids bigint[];
  v_devices uuid[];
BEGIN
  PERFORM baton_replan_v1();
  SELECT array_agg(q.id), array_agg(DISTINCT q.device_id) INTO v_ids, v_devices FROM (
    SELECT m.id, m.device_id FROM chat_messages m
    WHERE m.status = 'failed' AND m.role = 'user' AND (p_device IS NULL OR m.device_id = p_device)
    ORDER BY m.id LIMIT p_limit) q;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  now := baton_now_v1();
  UPDATE chat_messages m SET status = 'waiting', attempts = 0, error = NULL WHERE m.id = ANY (v_ids) AND m.status = 'failed';
  GET DIAGNOSTICS retried = ROW_COUNT;
  -- where a person holds the conversation by now, nothing waits
  PERFORM baton_record_v1(c.device_id, now) FROM (SELECT * FROM conversation_states s WHERE s.device_id = ANY (v_devices) OFFSET 0) c
  WHERE c.active_agent = 'human' AND c.lock_expires_at > now;
  more := retried >= p_limit;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- A page of the chat sessions of a scope (as in baton_session_scope_v1) in which a message fits the words, the best
-- first, behind p_rank_after, p_time_after and p_session_after; each with the messages that fit best, and in a piece of
-- their text the hits between U+0002 and U+0003. One more than p_limit where others follow. total: of all pages; null:
-- of everybody's messages only words that must occur can be looked for. partial: the words are so common that only the
-- newest messages were looked at.
CREATE OR REPLACE FUNCTION baton_search_sessions_v1(
  p_words text, p_user text, p_device uuid, p_active boolean, p_expired boolean,
  p_rank_after real, p_time_after timestamptz, p_session_after uuid, p_limit int
) RETURNS TABLE (now timestamptz, total int, partial boolean, sessions jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  -- as in baton_search_vector_v1
  v_query tsquery := websearch_to_tsquery('baton_search', regexp_replace(normalize(p_words), '([/<])', ' \1 ', 'g'));
  v_everywhere boolean := p_user IS NULL AND p_device IS NULL;
  v_from bigint := 0;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  now := baton_now_v1();
  IF v_everywhere AND querytree(v_query) = 'T' THEN
    RETURN NEXT;
    RETURN;
  END IF;
  IF v_everywhere THEN
    v_from := baton_search_from_v1(v_query);
  END IF;
  partial := v_from > 0;
  WITH found AS MATERIALIZED (
    SELECT * FROM baton_found_in_scope_v1(v_query, p_user, p_device, p_active, p_expired, now) WHERE NOT v_everywhere
    UNION ALL
    SELECT * FROM baton_found_anywhere_v1(v_query, v_from, p_active, p_expired, now) WHERE v_everywhere),
  page AS (
    SELECT * FROM found f
    WHERE p_session_after IS NULL OR (f.rank, f.last_activity, f.session_id) < (p_rank_after, p_time_after, p_session_after)
    ORDER BY f.rank DESC, f.last_activity DESC, f.session_id DESC LIMIT p_limit + 1),
  hits AS (
    SELECT p.session_id, i.place, m.id, m.content,
      sum(least(octet_length(m.content), 200000)) OVER (ORDER BY p.rank DESC, p.last_activity DESC, p.session_id DESC, i.place) AS bytes
    FROM page p, unnest(p.ids) WITH ORDINALITY i (id, place),
      LATERAL (SELECT * FROM chat_messages c WHERE c.id = i.id OFFSET 0) m),
  shown AS (
    SELECT h.session_id, jsonb_agg(jsonb_build_object('message_id', h.id::text, 'snippet',
      regexp_replace(ts_headline('baton_search', x.text, v_query, E'StartSel=\x02, StopSel=\x03'), ' ([/<]) ', '\1', 'g')) ORDER BY h.place) AS matches
    FROM hits h,
      -- 4 MB of text take a second; behind them only the beginning of each message is looked at
      LATERAL (SELECT regexp_replace(translate(left(normalize(h.content), CASE WHEN h.bytes <= 4000000 THEN 200000 ELSE 2000 END),
        E'\x02\x03', ''), '([/<])', ' \1 ', 'g') AS text) x
    GROUP BY h.session_id)
  SELECT (SELECT count(*) FROM found),
    (SELECT jsonb_agg(baton_session_view_v1(c, false) || jsonb_build_object('rank', p.rank, 'matches', h.matches)
       ORDER BY p.rank DESC, p.last_activity DESC, p.session_id DESC)
     FROM page p JOIN LATERAL (SELECT * FROM chat_sessions s WHERE s.session_id = p.session_id OFFSET 0) c ON true
       JOIN shown h ON h.session_id = p.session_id)
  INTO total, sessions;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Sets the lock if the guard holds. p_must_be_free: only where no live lock stands. p_versions: only the live
-- lock of one of these versions; an empty array: any live lock; null: no such guard.
CREATE OR REPLACE FUNCTION baton_set_lock_v1(p_device uuid, p_agent text, p_ttl int, p_must_be_free boolean, p_versions bigint[])
RETURNS TABLE (now timestamptz, written boolean, lock jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  v_live boolean;
BEGIN
  PERFORM baton_replan_v1();
  p_device := baton_linked_v1(p_device);
  IF p_versions IS NULL THEN
    INSERT INTO conversation_states (device_id) VALUES (p_device) ON CONFLICT DO NOTHING;
  END IF;
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  v_live := coalesce(s.active_agent IS NOT NULL AND s.lock_expires_at > now, false);
  written := NOT (p_must_be_free AND v_live)
    AND (p_versions IS NULL OR (v_live AND (p_versions = '{}' OR s.lock_version = ANY (p_versions))));
  IF written THEN
    PERFORM baton_move_lock_v1(p_device, p_agent, p_ttl, now);
  END IF;
  SELECT baton_lock_view_v1(c, now) INTO lock FROM conversation_states c WHERE c.device_id = p_device;
  RETURN NEXT;
END $$;

--> statement-breakpoint
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

--> statement-breakpoint
-- What was going on since p_since (null: for seven days). Seconds; days are those of UTC. The time to answer is that of the newest
-- 10,000 turns: from the arrival of the first message they answer to their COMMIT.
CREATE OR REPLACE FUNCTION baton_stats_v1(p_since timestamptz)
RETURNS TABLE (now timestamptz, since timestamptz, locks jsonb, holdings jsonb, hand_overs jsonb, sessions jsonb, sessions_created int,
  waiting int, failed int, days jsonb, answers jsonb, errors jsonb, counters jsonb)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_variable
BEGIN
  PERFORM baton_replan_v1();
  now := baton_now_v1();
  since := coalesce(p_since, now - interval '7 days');
  SELECT jsonb_agg(to_jsonb(q) ORDER BY q.agent) INTO locks FROM (
    SELECT l.agent, count(*) AS count, percentile_disc(0.5) WITHIN GROUP (ORDER BY l.age) AS median, percentile_disc(0.95) WITHIN GROUP (ORDER BY l.age) AS p95
    FROM (SELECT c.active_agent AS agent, extract(epoch FROM now - c.locked_at)::float8 AS age FROM conversation_states c
      WHERE c.active_agent IS NOT NULL AND c.lock_expires_at > now) l GROUP BY l.agent) q;
  SELECT jsonb_agg(to_jsonb(q) ORDER BY q.agent) INTO holdings FROM (
    SELECT h.agent, count(*) AS count, percentile_disc(0.5) WITHIN GROUP (ORDER BY h.held) AS median, percentile_disc(0.95) WITHIN GROUP (ORDER BY h.held) AS p95
    FROM (SELECT e.agent, extract(epoch FROM e.ended_at - e.started_at)::float8 AS held FROM lock_events e WHERE e.ended_at >= since) h
    GROUP BY h.agent) q;
  -- who came after: of the device's next holding, or the one that lasts
  SELECT jsonb_agg(to_jsonb(q) ORDER BY q.from, q.to) INTO hand_overs FROM (
    SELECT h.agent AS "from", h.taker AS "to", count(*) AS count FROM (
      SELECT e.agent, coalesce(
        (SELECT n.agent FROM lock_events n WHERE n.device_id = e.device_id AND n.id > e.id ORDER BY n.id LIMIT 1),
        (SELECT c.active_agent FROM conversation_states c WHERE c.device_id = e.device_id)) AS taker
      FROM lock_events e WHERE e.ended_at >= since AND e.reason = 'handed_over') h
    WHERE h.taker IS NOT NULL GROUP BY h.agent, h.taker) q;
  sessions := baton_session_figures_v1(now);
  SELECT count(*) INTO sessions_created FROM chat_sessions c WHERE c.created_at >= since;
  SELECT count(*) INTO waiting FROM chat_messages m WHERE m.status = 'waiting';
  SELECT count(*) INTO failed FROM chat_messages m WHERE m.status = 'failed' AND m.role = 'user';
  WITH said AS MATERIALIZED (
    SELECT (m.created_at AT TIME ZONE 'UTC')::date AS day, m.role, m.status, m.error, count(*) AS n
    FROM chat_messages m WHERE m.created_at >= since AND m.status <> 'erased' GROUP BY 1, 2, 3, 4)
  SELECT (SELECT jsonb_agg(to_jsonb(q) ORDER BY q.day) FROM (
      SELECT s.day, coalesce(sum(s.n) FILTER (WHERE s.role = 'user'), 0) AS user, coalesce(sum(s.n) FILTER (WHERE s.role = 'assistant'), 0) AS assistant
      FROM said s GROUP BY s.day) q),
    (SELECT jsonb_agg(to_jsonb(q) ORDER BY q.role DESC, q.error) FROM (
      SELECT s.role, coalesce(s.error, 'unknown') AS error, sum(s.n) AS count FROM said s WHERE s.status = 'failed' GROUP BY 1, 2) q)
  INTO days, errors;
  SELECT jsonb_build_object('count', count(*), 'median', percentile_disc(0.5) WITHIN GROUP (ORDER BY q.seconds),
    'p95', percentile_disc(0.95) WITHIN GROUP (ORDER BY q.seconds))
  INTO answers FROM (
    SELECT extract(epoch FROM t.created_at - (SELECT min(m.created_at) FROM chat_messages m WHERE m.id = ANY (t.answers)))::float8 AS seconds
    FROM (
      SELECT DISTINCT ON (r.turn_fence) r.turn_fence, r.created_at, r.answers FROM (
        SELECT m.turn_fence, m.created_at, m.answers FROM chat_messages m
        WHERE m.created_at >= since AND m.role = 'assistant' AND m.answers IS NOT NULL ORDER BY m.created_at DESC LIMIT 10000) r
      ORDER BY r.turn_fence, r.created_at) t) q
  WHERE q.seconds IS NOT NULL;
  SELECT jsonb_agg(jsonb_build_object('name', c.name, 'label', c.label, 'value', c.value, 'updated_at', c.updated_at) ORDER BY c.name, c.label)
  INTO counters FROM counters c;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Stores the messages of an ACCEPT whose keys nobody has used: message i is for device p_of[i] and has the key
-- p_keys[i]. The caller holds the devices' state rows and has read the clock after that.
CREATE OR REPLACE FUNCTION baton_store_v1(
  p_messages jsonb, p_request text, p_lane text, p_session_ttl int, p_of uuid[], p_keys bytea[], p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_new int[];
  -- whose current session they are for, and the other sessions
  v_devices uuid[];
  v_sessions uuid[];
  v_noted bigint[];
  m record;
BEGIN
  SELECT array_agg(k.ord), array_agg(DISTINCT p_of[k.ord]) FILTER (WHERE k.session IS NULL), array_agg(DISTINCT k.session)
  INTO v_new, v_devices, v_sessions
  FROM (
    SELECT n.*, row_number() OVER (PARTITION BY p_of[n.ord], n.per_minute ORDER BY n.ord) AS place
    FROM (
      SELECT ord, p_keys[ord] AS key, (e.m ->> 'session_id')::uuid AS session, (e.m ->> 'max_waiting')::int AS most,
        (e.m ->> 'per_minute')::int AS per_minute
      FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord)) n
    WHERE p_of[n.ord] IS NOT NULL AND NOT EXISTS (SELECT FROM chat_messages c WHERE c.dedupe_key = n.key OFFSET 0)
      AND (n.session IS NULL OR baton_session_refusal_v1(n.session, p_now) IS NULL)
      AND (n.most IS NULL OR n.most > (
        SELECT count(*) FROM (SELECT FROM chat_messages w WHERE w.device_id = p_of[n.ord] AND w.status = 'waiting' LIMIT n.most) q))) k
  WHERE k.per_minute IS NULL OR k.place <= (
    SELECT (baton_rate_v1(c.rate_until, k.per_minute, p_now) ->> 'left')::int FROM conversation_states c WHERE c.device_id = p_of[k.ord]);
  IF v_new IS NOT NULL THEN
    IF jsonb_path_exists(p_messages, '$[*].per_minute') THEN
      FOR m IN
        SELECT p_of[e.ord] AS device_id, sum(60000.0 / (e.m ->> 'per_minute')::int) * interval '1 ms' AS part
        FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord)
        WHERE e.ord = ANY (v_new) AND e.m ? 'per_minute' GROUP BY p_of[e.ord]
      LOOP
        UPDATE conversation_states c SET rate_until = greatest(c.rate_until, p_now) + m.part WHERE c.device_id = m.device_id;
      END LOOP;
    END IF;
    -- a redelivery is no sign of life: only a device with something new has its session opened or prolonged
    PERFORM baton_open_sessions_v1(v_devices, p_messages -> 0 ->> 'channel', p_session_ttl, p_now);
    PERFORM baton_touch_sessions_v1(v_sessions, p_session_ttl, p_now);
    -- ids are drawn in the order of arrival, before the rows are sorted by key
    WITH stored AS (
      INSERT INTO chat_messages (id, device_id, session_id, role, content, metadata, agent, channel, account, lane, external_id,
        dedupe_key, request_id, address, status, sent_at, created_at)
      OVERRIDING SYSTEM VALUE
      SELECT n.id, n.device_id, coalesce(n.session_id, (SELECT c.session_id FROM conversation_states c WHERE c.device_id = n.device_id)),
        CASE WHEN n.author IS NULL THEN 'user' ELSE 'assistant' END, n.content, coalesce(n.metadata, '{}'),
        n.author, n.channel, coalesce(n.account, n.device_id::text), p_lane, n.external_id, n.key, p_request, n.address,
        CASE WHEN n.turn AND n.author IS NULL AND (n.answer_within IS NULL OR n.plausible > p_now - n.answer_within * interval '1 s')
          THEN 'waiting' ELSE 'noted' END,
        n.plausible, p_now
      FROM (
        SELECT nextval('chat_messages_id_seq') AS id, p_of[r.ord] AS device_id, p_keys[r.ord] AS key,
          r.content, r.metadata, r.channel, r.account, r.session_id, r.external_id, r.author, coalesce(r.turn, true) AS turn, r.answer_within,
          baton_sent_at_v1(r.sent_at, p_now) AS plausible,
          -- a number that is known as somebody else's is no way to this sender
          CASE WHEN coalesce(r.phone, r.user_id) IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object('user_id', r.user_id, 'phone',
            CASE WHEN baton_linked_v1(baton_identity_v1(r.channel, r.account, 'phone', r.phone)) = p_of[r.ord] THEN coalesce(r.dial, r.phone) END)) END AS address
        FROM ROWS FROM (jsonb_to_recordset(p_messages) AS (content text, metadata jsonb, channel text, account text, session_id uuid, external_id text,
            sent_at timestamptz, phone text, user_id text, dial text, turn boolean, author text, answer_within int))
          WITH ORDINALITY AS r (content, metadata, channel, account, session_id, external_id, sent_at, phone, user_id, dial, turn, author, answer_within, ord)
        WHERE r.ord = ANY (v_new)) n
      ORDER BY n.key, n.id -- of copies the first
      ON CONFLICT DO NOTHING
      RETURNING id, status)
    SELECT array_agg(stored.id) FILTER (WHERE stored.status = 'noted') INTO v_noted FROM stored;
    IF v_noted IS NOT NULL THEN
      PERFORM baton_enter_v1(q.device_id, q.ids, NULL, p_now) FROM (
        SELECT c.device_id, array_agg(c.id) AS ids FROM chat_messages c WHERE c.id = ANY (v_noted) GROUP BY c.device_id) q;
    END IF;
    FOR m IN
      -- what a person has said for the business holds the conversation; what somebody took back is marked
      SELECT p_of[e.ord] AS device_id, e.channel, e.account, e.revokes,
        CASE WHEN e.answer_within IS NULL OR baton_sent_at_v1(e.sent_at, p_now) > p_now - e.answer_within * interval '1 s' THEN e.human_ttl END AS human_ttl
      FROM ROWS FROM (jsonb_to_recordset(p_messages) AS
          (channel text, account text, revokes text, human_ttl int, answer_within int, sent_at timestamptz))
        WITH ORDINALITY AS e (channel, account, revokes, human_ttl, answer_within, sent_at, ord)
      WHERE e.ord = ANY (v_new) AND (e.revokes IS NOT NULL OR e.human_ttl IS NOT NULL)
    LOOP
      PERFORM baton_move_lock_v1(m.device_id, 'human', m.human_ttl, p_now) FROM conversation_states c
      WHERE c.device_id = m.device_id AND m.human_ttl IS NOT NULL
        -- an operator's longer hold is not cut short
        AND NOT coalesce(c.active_agent = 'human' AND c.lock_expires_at > p_now + m.human_ttl * interval '1 s', false);
      UPDATE chat_messages c SET metadata = c.metadata || '{"deleted": true}'
      WHERE c.dedupe_key = baton_dedupe_key_v1(m.channel, m.account, m.revokes) AND c.device_id = m.device_id;
    END LOOP;
  END IF;
  PERFORM baton_record_v1(c.device_id, p_now) FROM (SELECT * FROM conversation_states s WHERE s.device_id = ANY (p_of) OFFSET 0) c
  WHERE c.active_agent = 'human' AND c.lock_expires_at > p_now;
END $$;

--> statement-breakpoint
-- Starts the life of these chat sessions anew; where one is its device's current session, the device knows of it. The
-- caller holds the state rows.
CREATE OR REPLACE FUNCTION baton_touch_sessions_v1(p_sessions uuid[], p_session_ttl int, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    UPDATE chat_sessions c SET last_activity = p_now, expires_at = p_now + coalesce(c.ttl, p_session_ttl) * interval '1 s'
    WHERE c.session_id = ANY (p_sessions)
    RETURNING c.device_id, c.session_id, c.expires_at
  LOOP
    UPDATE conversation_states s SET session_expires_at = t.expires_at, updated_at = p_now
    WHERE s.device_id = t.device_id AND s.session_id = t.session_id;
  END LOOP;
END $$;

--> statement-breakpoint
-- Parts what was linked: a device from the conversation it joined, and where it joined none, every device from its own.
-- unlinked: how many have a conversation of their own again.
CREATE OR REPLACE FUNCTION baton_unlink_v1(p_device uuid) RETURNS TABLE (now timestamptz, unlinked int)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  PERFORM baton_replan_v1();
  DELETE FROM channel_identities i WHERE (i.channel, i.account, i.kind, i.value) = ('device', '', 'device', p_device::text);
  GET DIAGNOSTICS unlinked = ROW_COUNT;
  IF unlinked = 0 THEN
    PERFORM baton_identities_of_v1(ARRAY[p_device]);
    DELETE FROM channel_identities i WHERE i.device_id = p_device AND i.kind = 'device';
    GET DIAGNOSTICS unlinked = ROW_COUNT;
  END IF;
  -- nor may whoever knows a code that is still good come in again
  DELETE FROM link_codes l WHERE l.device_id = p_device;
  now := baton_now_v1();
  RETURN NEXT;
END $$;
