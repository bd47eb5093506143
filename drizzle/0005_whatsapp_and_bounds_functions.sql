-- the functions call each other; their bodies are checked when they run
--> statement-breakpoint
SET LOCAL check_function_bodies = off;
--> statement-breakpoint
-- ACCEPT: stores messages of any number of devices, each once, and takes the turns that are free.
-- p_messages: [{device_id} or {session_id} or {phone, user_id, dial, becomes: {phone, user_id}}, channel, account,
--   external_id, content, metadata, sent_at, answer_within (seconds), turn: false, author: 'human', human_ttl
--   (seconds), revokes]
-- A message for a session that is over, complete or unknown is refused, and says why; of an unknown one nobody
-- knows the device, and no row is returned.
-- Lock order: identities, state rows by device, new messages by key, messages that were there.
-- Planned once per connection, and always by index: planning each time took a third of the call, and for a list of
-- unknown length the planner likes to read a whole table of a few thousand rows (1.8 ms in place of 0.05).
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
  v_of uuid[];
  v_keys bytea[];
  v_devices uuid[];
  v_device uuid;
  v_results jsonb;
  v_now timestamptz;
  v_taken int := 0;
BEGIN
  IF v_named THEN
    PERFORM baton_link_v1(p_messages);
    v_of := baton_resolve_v1(p_messages);
  ELSE
    SELECT array_agg(coalesce((m ->> 'device_id')::uuid,
      (SELECT t.device_id FROM chat_sessions t WHERE t.session_id = (m ->> 'session_id')::uuid)) ORDER BY ord) INTO v_of
    FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord);
  END IF;
  SELECT array_agg(q.d ORDER BY q.d) INTO v_devices FROM (SELECT DISTINCT d FROM unnest(v_of) d WHERE d IS NOT NULL) q;
  -- a session's device is its account
  SELECT array_agg(baton_dedupe_key_v1(m ->> 'channel', coalesce(m ->> 'account', v_of[ord]::text), m ->> 'external_id') ORDER BY ord) INTO v_keys
  FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord);

  INSERT INTO conversation_states (device_id)
  SELECT d FROM unnest(v_devices) d WHERE NOT EXISTS (SELECT FROM conversation_states c WHERE c.device_id = d)
  ORDER BY d ON CONFLICT DO NOTHING;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  IF v_named AND baton_resolve_v1(p_messages) IS DISTINCT FROM v_of THEN
    -- an erase or a merge came between. Giving up drops every lock; going round again in here would take them
    -- out of order
    RAISE EXCEPTION 'an identity moved' USING ERRCODE = '40001';
  END IF;
  v_now := baton_now_v1();

  PERFORM baton_store_v1(p_messages, p_request, p_lane, p_session_ttl, v_of, v_keys, v_now);
  SELECT jsonb_object_agg(q.device_id, q.list) INTO v_results FROM (
    SELECT v_of[k.ord] AS device_id, jsonb_agg(CASE WHEN m.id IS NULL
      THEN jsonb_build_object('index', k.ord - 1, 'refused', baton_session_refusal_v1((p_messages -> (k.ord - 1)::int ->> 'session_id')::uuid, v_now))
      ELSE jsonb_build_object('index', k.ord - 1, 'id', m.id::text, 'message_id', m.external_id, 'session_id', m.session_id,
        'status', m.status, 'duplicate', m.request_id IS DISTINCT FROM p_request) END ORDER BY k.ord) AS list
    FROM unnest(v_keys) WITH ORDINALITY AS k (key, ord) LEFT JOIN chat_messages m ON m.dedupe_key = k.key
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
-- CLEAN-UP, one batch of each kind: lapsed locks, ended sessions, messages past retention. Rows are found by
-- index, passed by when somebody holds them, and looked at again under their lock; two may run at once.
CREATE OR REPLACE FUNCTION baton_clean_v1(p_batch int, p_retention_days int)
RETURNS TABLE (now timestamptz, expired_locks int, expired_sessions int, purged_messages int, more boolean)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_old timestamptz;
  v_keep timestamptz;
  v_sessions int := 0;
  v_emptied int := 0;
BEGIN
  now := baton_now_v1();
  WITH lapsed AS (
    SELECT c.device_id FROM conversation_states c
    WHERE c.active_agent IS NOT NULL AND c.lock_expires_at <= now
    ORDER BY c.lock_expires_at LIMIT p_batch FOR UPDATE SKIP LOCKED)
  UPDATE conversation_states c SET active_agent = NULL, locked_at = NULL, lock_expires_at = NULL,
    updated_at = now -- the version stays: nobody moved this lock, it had ended before
  FROM lapsed WHERE c.device_id = lapsed.device_id AND c.lock_expires_at <= now;
  GET DIAGNOSTICS expired_locks = ROW_COUNT;

  WITH ended AS (
    SELECT c.device_id FROM conversation_states c
    WHERE c.session_id IS NOT NULL AND c.session_expires_at <= now
    ORDER BY c.session_expires_at LIMIT p_batch FOR UPDATE SKIP LOCKED)
  UPDATE conversation_states c SET session_id = NULL, session_expires_at = NULL, updated_at = now
  FROM ended WHERE c.device_id = ended.device_id AND c.session_expires_at <= now;
  GET DIAGNOSTICS expired_sessions = ROW_COUNT;

  purged_messages := 0;
  IF p_retention_days > 0 THEN
    v_old := now - p_retention_days * interval '1 day';
    v_keep := now - interval '8 days'; -- a provider retries for seven: until then the key must stay to be known again
    WITH doomed AS (
      SELECT m.id FROM chat_sessions c JOIN chat_messages m ON m.session_id = c.session_id
      WHERE c.last_activity <= v_old AND m.status NOT IN ('waiting', 'pending', 'sending', 'unknown')
        AND (m.created_at <= v_keep OR m.dedupe_key IS NULL)
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE OF m SKIP LOCKED)
    DELETE FROM chat_messages m USING doomed WHERE m.id = doomed.id;
    GET DIAGNOSTICS purged_messages = ROW_COUNT;
    WITH young AS (
      SELECT m.id FROM chat_sessions c JOIN chat_messages m ON m.session_id = c.session_id
      WHERE c.last_activity <= v_old AND m.status NOT IN ('waiting', 'erased') AND m.dedupe_key IS NOT NULL AND m.created_at > v_keep
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE OF m SKIP LOCKED)
    UPDATE chat_messages m SET content = '', metadata = '{}', address = NULL, status = 'erased', seq = NULL, external_id = NULL
    FROM young WHERE m.id = young.id;
    GET DIAGNOSTICS v_emptied = ROW_COUNT;
    WITH empty AS (
      SELECT c.session_id FROM chat_sessions c
      WHERE c.last_activity <= v_old AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.session_id = c.session_id)
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE SKIP LOCKED)
    DELETE FROM chat_sessions c USING empty WHERE c.session_id = empty.session_id AND c.last_activity <= v_old;
    GET DIAGNOSTICS v_sessions = ROW_COUNT;
    purged_messages := purged_messages + v_emptied;
    DELETE FROM lock_events e WHERE e.id IN (SELECT o.id FROM lock_events o WHERE o.ended_at <= v_old ORDER BY o.ended_at LIMIT p_batch FOR UPDATE SKIP LOCKED);
  END IF;
  more := greatest(expired_locks, expired_sessions, purged_messages, v_sessions) >= p_batch;
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
  v_hash bytea := sha256(convert_to(p_commit::text, 'UTF8'));
  v_answered bigint[];
  v_replies bigint[];
  v_deliver boolean := (p_commit ->> 'deliver')::boolean;
  v_complete boolean := coalesce((p_commit ->> 'complete')::boolean, false);
  v_writes_state boolean := p_commit ? 'state' OR p_commit ? 'state_patch';
  v_session_end timestamptz;
  v_blocked boolean := false;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device AND c.turn_lane = p_lane FOR UPDATE;
  now := baton_now_v1();
  IF s.committed_fence = p_fence AND s.committed_hash = v_hash THEN
    -- sent again: what was written then, found among the device's last (a turn writes at most 200)
    outcome := 'committed';
    SELECT array_agg(m.id) FILTER (WHERE m.role = 'user'), array_agg(m.id) FILTER (WHERE m.role = 'assistant') INTO v_answered, v_replies
    FROM chat_messages m WHERE m.device_id = p_device AND m.seq > s.last_seq - 500 AND m.turn_fence = p_fence;
  ELSIF s.turn_fence = p_fence AND s.turn_expires_at IS NOT NULL AND s.committed_fence IS DISTINCT FROM p_fence THEN
    IF p_commit ? 'state' AND s.state_version IS DISTINCT FROM s.granted_state_version THEN
      outcome := 'state_conflict';
      RETURN NEXT;
      RETURN;
    END IF;
    outcome := 'committed';

    SELECT array_agg(m.id ORDER BY m.sent_at, m.id) INTO v_answered
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
      RETURNING id)
    SELECT array_agg(w.id) INTO v_replies FROM written w;

    UPDATE chat_sessions c SET last_activity = now, complete = c.complete OR v_complete,
      message_count = c.message_count + coalesce(cardinality(v_answered), 0) + coalesce(cardinality(v_replies), 0),
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
-- Enters messages of one device into its history without a turn: p_holder, if anybody, holds the conversation.
-- The caller holds the device's state row.
CREATE OR REPLACE FUNCTION baton_enter_v1(p_device uuid, p_ids bigint[], p_holder text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE chat_messages m SET status = 'recorded', holder = p_holder, seq = s.last_seq + q.place
  FROM conversation_states s,
    (SELECT w.id, row_number() OVER (ORDER BY w.sent_at, w.id) AS place FROM chat_messages w WHERE w.id = ANY (p_ids)) q
  WHERE s.device_id = p_device AND m.id = q.id;
  UPDATE conversation_states s SET last_seq = s.last_seq + cardinality(p_ids), updated_at = p_now WHERE s.device_id = p_device;
  UPDATE chat_sessions c SET message_count = c.message_count + q.n, last_activity = p_now
  FROM (SELECT m.session_id, count(*)::int AS n FROM chat_messages m WHERE m.id = ANY (p_ids) GROUP BY m.session_id) q
  WHERE c.session_id = q.session_id;
END $$;

--> statement-breakpoint
-- How many identities of a kind lead to a device.
CREATE OR REPLACE FUNCTION baton_identities_v1(p_device uuid, p_channel text, p_account text, p_kind text) RETURNS int
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (SELECT count(*) FROM channel_identities i WHERE i.device_id = p_device AND (i.channel, i.account, i.kind) = (p_channel, p_account, p_kind));
END $$;

--> statement-breakpoint
-- The device an identity leads to; null: nobody has seen it. VOLATILE: it must see what the calling function has
-- just written.
CREATE OR REPLACE FUNCTION baton_identity_v1(p_channel text, p_account text, p_kind text, p_value text) RETURNS uuid
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (SELECT i.device_id FROM channel_identities i WHERE (i.channel, i.account, i.kind, i.value) = (p_channel, p_account, p_kind, p_value));
END $$;

--> statement-breakpoint
-- A user id and a phone (or null) that came with one message. The caller holds the phone's row.
CREATE OR REPLACE FUNCTION baton_link_pair_v1(p_channel text, p_account text, p_phone text, p_user_id text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_phone uuid := baton_identity_v1(p_channel, p_account, 'phone', p_phone);
  v_user uuid;
BEGIN
  INSERT INTO channel_identities (channel, account, kind, value, device_id)
  VALUES (p_channel, p_account, 'user_id', p_user_id,
    CASE WHEN v_phone IS NULL OR baton_identities_v1(v_phone, p_channel, p_account, 'user_id') > 0
      THEN baton_identity_device_v1(p_channel, p_account, 'user_id', p_user_id) ELSE v_phone END)
  ON CONFLICT DO NOTHING;
  -- it may be another call's by now, whose first message carried no phone
  v_user := baton_identity_v1(p_channel, p_account, 'user_id', p_user_id);
  IF v_phone <> v_user AND (CASE WHEN baton_identities_v1(v_phone, p_channel, p_account, 'user_id') = 0
    -- a new number of this person, or one that nobody else has a claim to
    THEN baton_identities_v1(v_user, p_channel, p_account, 'phone') = 0 OR NOT EXISTS (SELECT FROM conversation_states c WHERE c.device_id = v_phone)
    -- the old number of somebody who has a newer one
    ELSE baton_identities_v1(v_user, p_channel, p_account, 'phone') = 0 AND baton_identities_v1(v_phone, p_channel, p_account, 'phone') > 1 END)
  THEN
    UPDATE channel_identities p SET device_id = v_user
    WHERE (p.channel, p.account, p.kind, p.value) = (p_channel, p_account, 'phone', p_phone);
  END IF;
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
    FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text, becomes jsonb)
    WHERE n.becomes IS NOT NULL) q;
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
-- Bytes of a message that a turn carries.
CREATE OR REPLACE FUNCTION baton_message_bytes_v1(p_message chat_messages) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT octet_length(p_message.content) + octet_length(p_message.metadata::text)::bigint
$$;

--> statement-breakpoint
-- Whether the person wrote within the last 24 hours, as a channel counts it that lets a business answer freely only
-- so long: among the messages a reply answers (at most 300 rows before it), the later ones, and those that wait.
CREATE OR REPLACE FUNCTION baton_message_window_v1(p_reply chat_messages, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM chat_messages m
    WHERE m.device_id = p_reply.device_id AND m.seq > p_reply.seq - 300
      AND m.role = 'user' AND (m.channel, m.account) = (p_reply.channel, p_reply.account) AND m.sent_at > p_now - interval '24 hours')
  OR EXISTS (
    SELECT FROM chat_messages m
    WHERE m.device_id = p_reply.device_id AND m.status = 'waiting'
      AND (m.channel, m.account) = (p_reply.channel, p_reply.account) AND m.sent_at > p_now - interval '24 hours');
END $$;

--> statement-breakpoint
-- NEXT: takes the free turns among these devices, at most p_max_turns, if something waits there in the lane; first
-- the ones that an earlier try of this very call took. One row per turn; where none was taken, one row with the
-- clock alone.
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
  v_found boolean := false;
BEGIN
  SELECT array_agg(q.device_id) INTO v_devices FROM (
    SELECT c.device_id FROM conversation_states c
    WHERE c.device_id = ANY (p_devices)
      AND (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
      AND EXISTS (SELECT FROM chat_messages m WHERE m.device_id = c.device_id AND m.lane = p_lane AND m.status = 'waiting')
    ORDER BY coalesce(c.turn_owner = p_request AND c.turn_expires_at > v_start, false) DESC, c.device_id LIMIT p_max_turns) q;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  now := baton_now_v1();
  FOREACH v_device IN ARRAY coalesce(v_devices, '{}') LOOP
    turn := baton_take_v1(v_device, p_request, p_lane, p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
    IF turn IS NOT NULL THEN
      v_found := true;
      RETURN NEXT;
    END IF;
  END LOOP;
  IF NOT v_found THEN
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
    JOIN LATERAL (SELECT m.id, m.device_id, p.external_id, p.status, p.error, p.retry_ms FROM chat_messages m WHERE m.id = p.reply) f ON true
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
-- Every device gets a running chat session: the one it has, its life started anew, or a new one where that is
-- over. The caller holds the state rows.
CREATE OR REPLACE FUNCTION baton_open_sessions_v1(p_devices uuid[], p_channel text, p_session_ttl int, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  WITH opened AS (
    UPDATE conversation_states s SET session_id = gen_random_uuid(), session_expires_at = p_now, updated_at = p_now
    WHERE s.device_id = ANY (p_devices) AND (s.session_id IS NULL OR s.session_expires_at <= p_now)
    RETURNING s.device_id, s.session_id)
  INSERT INTO chat_sessions (session_id, device_id, channel, created_at, last_activity, expires_at)
  SELECT o.session_id, o.device_id, p_channel, p_now, p_now, p_now FROM opened o;

  PERFORM baton_touch_sessions_v1(
    (SELECT array_agg(s.session_id) FROM conversation_states s WHERE s.device_id = ANY (p_devices)), p_session_ttl, p_now);
END $$;

--> statement-breakpoint
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

--> statement-breakpoint
-- RECOVER: takes turns of the builtin lane that somebody has let fall, wherever they are: replies that are due, then
-- messages that wait, the oldest first, where nobody has a live lease. Looks on until p_max_turns are taken or
-- nothing is left, so that no turn means nothing to do. Rows that another call holds are passed by: it is at work
-- there; nothing is waited for, so the order of the locks does not matter.
-- Sorting is off so that each list is read from its index, and only as far as it is needed.
CREATE OR REPLACE FUNCTION baton_recover_v1(
  p_request text, p_max_turns int, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
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
  FOR v_device IN
    SELECT q.device_id FROM (
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'pending' AND m.claim_expires_at <= v_start ORDER BY m.claim_expires_at)
      UNION ALL
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'unknown' AND m.claim_expires_at <= v_start ORDER BY m.claim_expires_at)
      UNION ALL
      -- also the ones being sent: a repeated call finds its own
      (SELECT m.device_id, m.seq FROM chat_messages m WHERE m.status = 'sending' ORDER BY m.claim_expires_at)
      UNION ALL
      (SELECT m.device_id, NULL FROM chat_messages m WHERE m.status = 'waiting' AND m.lane = 'builtin' ORDER BY m.id)) q
    JOIN conversation_states c ON c.device_id = q.device_id
    WHERE (c.turn_expires_at IS NULL OR c.turn_expires_at <= v_start OR c.turn_owner = p_request)
      -- a reply goes out after its predecessor; to be chosen for it would mean to be chosen in vain, each time
      AND (q.seq IS NULL OR NOT EXISTS (
        SELECT FROM chat_messages h WHERE h.device_id = q.device_id AND h.seq < q.seq AND h.status IN ('pending', 'sending', 'unknown')))
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
-- A reply for the worker that sends it.
CREATE OR REPLACE FUNCTION baton_reply_view_v1(p_reply chat_messages, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN baton_message_view_v1(p_reply) || jsonb_build_object(
    'attempts', p_reply.attempts, 'address', coalesce(p_reply.address, '{}'), 'in_window', CASE WHEN p_reply.status = 'sending' THEN baton_message_window_v1(p_reply, p_now) END);
END $$;

--> statement-breakpoint
-- The device of each message, in the order given. The user id decides: a phone number changes hands.
CREATE OR REPLACE FUNCTION baton_resolve_v1(p_messages jsonb) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    SELECT array_agg(coalesce(m.device_id,
      baton_identity_v1(m.channel, m.account, 'user_id', m.user_id),
      baton_identity_v1(m.channel, m.account, 'phone', m.phone)) ORDER BY m.ord)
    FROM ROWS FROM (jsonb_to_recordset(p_messages) AS (device_id uuid, channel text, account text, phone text, user_id text))
      WITH ORDINALITY AS m (device_id, channel, account, phone, user_id, ord));
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
  SELECT array_agg(q.id), array_agg(DISTINCT q.device_id) INTO v_ids, v_devices FROM (
    SELECT m.id, m.device_id FROM chat_messages m
    WHERE m.status = 'failed' AND m.role = 'user' AND (p_device IS NULL OR m.device_id = p_device)
    ORDER BY m.id LIMIT p_limit) q;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  now := baton_now_v1();
  UPDATE chat_messages m SET status = 'waiting', attempts = 0, error = NULL WHERE m.id = ANY (v_ids) AND m.status = 'failed';
  GET DIAGNOSTICS retried = ROW_COUNT;
  -- where a person holds the conversation by now, nothing waits
  PERFORM baton_record_v1(c.device_id, now) FROM conversation_states c
  WHERE c.device_id = ANY (v_devices) AND c.active_agent = 'human' AND c.lock_expires_at > now;
  more := retried >= p_limit;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- Why a chat session takes no message at p_now: session_not_found (unknown, deleted or over), session_complete; null:
-- it takes it. VOLATILE: it must see what the calling function has just written.
CREATE OR REPLACE FUNCTION baton_session_refusal_v1(p_session uuid, p_now timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  t chat_sessions;
BEGIN
  SELECT * INTO t FROM chat_sessions c WHERE c.session_id = p_session;
  RETURN CASE WHEN t.session_id IS NULL OR t.expires_at <= p_now THEN 'session_not_found' WHEN t.complete THEN 'session_complete' END;
END $$;

--> statement-breakpoint
-- SETTLE: what became of the replies the turn had to send, then the turn's end, or the next one if more waits and
-- p_lease_ms is not 0. p_results: [{id, status, external_id?, error?, retry_ms?, untried?}]; outcome: settled or lost.
-- One that comes too late may still say what nobody else knows: that the channel took a reply, or never will.
CREATE OR REPLACE FUNCTION baton_settle_v1(
  p_device uuid, p_fence bigint, p_results jsonb, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (outcome text, now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
BEGIN
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
    -- a reply the worker says nothing of may be out or not
    UPDATE chat_messages m SET status = 'unknown', claim_expires_at = now + p_resend_ms * interval '1 ms'
    WHERE m.device_id = p_device AND m.status = 'sending';
    UPDATE conversation_states c SET turn_expires_at = NULL, updated_at = now WHERE c.device_id = p_device;
  ELSIF NOT coalesce(s.turn_owner = 'after:' || p_fence OR (s.turn_fence = p_fence AND s.committed_fence = p_fence), false) THEN
    UPDATE chat_messages m SET external_id = coalesce(m.external_id, r.external_id), error = r.error, status = r.status
    FROM jsonb_to_recordset(p_results) AS r (id bigint, status text, external_id text, error text)
    WHERE m.id = r.id AND m.device_id = p_device AND m.status = 'unknown' AND r.status IN ('sent', 'failed');
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;
  outcome := 'settled';
  IF p_lease_ms > 0 THEN
    turn := baton_take_v1(p_device, 'after:' || p_fence, 'builtin', p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
  END IF;
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
  FROM (SELECT ord, p_keys[ord] AS key, (e.m ->> 'session_id')::uuid AS session FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord)) k
  WHERE p_of[k.ord] IS NOT NULL AND NOT EXISTS (SELECT FROM chat_messages c WHERE c.dedupe_key = k.key)
    AND (k.session IS NULL OR baton_session_refusal_v1(k.session, p_now) IS NULL);
  IF v_new IS NOT NULL THEN
    -- a redelivery is no sign of life: only a device with something new has its session opened or prolonged
    PERFORM baton_open_sessions_v1(v_devices, p_messages -> 0 ->> 'channel', p_session_ttl, p_now);
    PERFORM baton_touch_sessions_v1(v_sessions, p_session_ttl, p_now);
    -- ids are drawn in the order of arrival, before the rows are sorted by key
    WITH stored AS (
      INSERT INTO chat_messages (id, device_id, session_id, role, content, metadata, agent, channel, account, lane, external_id,
        dedupe_key, request_id, address, status, sent_at, created_at)
      OVERRIDING SYSTEM VALUE
      SELECT n.id, n.device_id, coalesce(n.session_id, c.session_id), CASE WHEN n.author IS NULL THEN 'user' ELSE 'assistant' END, n.content, coalesce(n.metadata, '{}'),
        n.author, n.channel, coalesce(n.account, n.device_id::text), p_lane, n.external_id, n.key, p_request, n.address,
        CASE WHEN n.turn AND n.author IS NULL AND (n.answer_within IS NULL OR n.plausible > p_now - n.answer_within * interval '1 s')
          THEN 'waiting' ELSE 'noted' END,
        n.plausible, p_now
      FROM (
        SELECT nextval('chat_messages_id_seq') AS id, p_of[r.ord] AS device_id, p_keys[r.ord] AS key,
          r.content, r.metadata, r.channel, r.account, r.session_id, r.external_id, r.author, coalesce(r.turn, true) AS turn, r.answer_within,
          CASE WHEN r.sent_at BETWEEN p_now - interval '30 days' AND p_now + interval '10 minutes' THEN r.sent_at ELSE p_now END AS plausible,
          -- a number that is known as somebody else's is no way to this sender
          CASE WHEN coalesce(r.phone, r.user_id) IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object('user_id', r.user_id, 'phone',
            CASE WHEN baton_identity_v1(r.channel, r.account, 'phone', r.phone) = p_of[r.ord] THEN coalesce(r.dial, r.phone) END)) END AS address
        FROM ROWS FROM (jsonb_to_recordset(p_messages) AS (content text, metadata jsonb, channel text, account text, session_id uuid, external_id text,
            sent_at timestamptz, phone text, user_id text, dial text, turn boolean, author text, answer_within int))
          WITH ORDINALITY AS r (content, metadata, channel, account, session_id, external_id, sent_at, phone, user_id, dial, turn, author, answer_within, ord)
        WHERE r.ord = ANY (v_new)) n
      JOIN conversation_states c ON c.device_id = n.device_id
      ORDER BY n.key
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
        CASE WHEN e.answer_within IS NULL OR coalesce(e.sent_at, p_now) > p_now - e.answer_within * interval '1 s' THEN e.human_ttl END AS human_ttl
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
  PERFORM baton_record_v1(c.device_id, p_now) FROM conversation_states c
  WHERE c.device_id = ANY (p_of) AND c.active_agent = 'human' AND c.lock_expires_at > p_now;
END $$;

--> statement-breakpoint
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
    -- the oldest that fit into 4 MiB, and one in any case: the whole turn is one jsonb value, which ends at 256 MB
    SELECT array_agg(b.id) INTO v_ids FROM (
      SELECT q.id, row_number() OVER w = 1 OR sum(q.bytes) OVER w <= 4194304 AS fits FROM (
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

--> statement-breakpoint
-- Starts the life of these chat sessions anew; where one is its device's current session, the device knows of it. The
-- caller holds the state rows.
CREATE OR REPLACE FUNCTION baton_touch_sessions_v1(p_sessions uuid[], p_session_ttl int, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  WITH touched AS (
    UPDATE chat_sessions c SET last_activity = p_now, expires_at = p_now + coalesce(c.ttl, p_session_ttl) * interval '1 s'
    WHERE c.session_id = ANY (p_sessions)
    RETURNING c.device_id, c.session_id, c.expires_at)
  UPDATE conversation_states s SET session_expires_at = t.expires_at, updated_at = p_now
  FROM touched t WHERE s.device_id = t.device_id AND s.session_id = t.session_id;
END $$;

--> statement-breakpoint
-- Everything the holder of a turn works from: what was handed to it, or which replies it has to send, and what
-- was said before. VOLATILE: it must see what the calling function has just written.
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
    -- the newest that fit into 4 MiB: a jsonb value ends at 256 MB, and somebody has to carry it
    SELECT jsonb_agg(baton_message_view_v1(h.m) ORDER BY (h.m).seq) INTO v_history FROM (
      SELECT q.m, sum(baton_message_bytes_v1(q.m)) OVER (ORDER BY (q.m).seq DESC) AS bytes FROM (
        SELECT m FROM chat_messages m
        WHERE m.session_id = v_first.session_id AND m.lane = v_first.lane AND m.seq IS NOT NULL ORDER BY m.seq DESC LIMIT p_history) q) h
    WHERE h.bytes <= 4194304;
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
