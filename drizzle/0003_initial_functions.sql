-- the functions call each other; their bodies are checked when they run
--> statement-breakpoint
SET LOCAL check_function_bodies = off;
--> statement-breakpoint
-- ACCEPT: stores messages of any number of devices, each once, and takes the turns that are free.
-- p_messages: [{device_id} or {phone, user_id}, channel, account, external_id, content, metadata, sent_at]
-- Lock order: identities, state rows by device, new messages by key.
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
  END IF;
  v_of := baton_resolve_v1(p_messages);
  SELECT array_agg(q.d ORDER BY q.d) INTO v_devices FROM (SELECT DISTINCT d FROM unnest(v_of) d) q;

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

  PERFORM baton_open_sessions_v1(v_devices, p_messages -> 0 ->> 'channel', p_session_ttl, v_now);
  SELECT array_agg(baton_dedupe_key_v1(m ->> 'channel', m ->> 'account', m ->> 'external_id') ORDER BY ord) INTO v_keys
  FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord);
  -- ids are drawn in the order of arrival, before the rows are sorted by key
  INSERT INTO chat_messages (id, device_id, session_id, role, content, metadata, channel, account, lane, external_id,
    dedupe_key, request_id, address, status, sent_at, created_at)
  OVERRIDING SYSTEM VALUE
  SELECT n.id, n.device_id, c.session_id, 'user', n.content, coalesce(n.metadata, '{}'), n.channel, n.account, p_lane, n.external_id,
    n.key, p_request, n.address, 'waiting',
    CASE WHEN n.sent_at BETWEEN v_now - interval '30 days' AND v_now + interval '10 minutes' THEN n.sent_at ELSE v_now END, v_now
  FROM (
    SELECT nextval('chat_messages_id_seq') AS id, v_of[m.ord] AS device_id, v_keys[m.ord] AS key,
      m.content, m.metadata, m.channel, m.account, m.external_id, m.sent_at,
      -- a number that is known as somebody else's is no way to this sender
      CASE WHEN v_named THEN jsonb_strip_nulls(jsonb_build_object('user_id', m.user_id, 'phone', (
        SELECT p.value FROM channel_identities p
        WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone) AND p.device_id = v_of[m.ord]))) END AS address
    FROM ROWS FROM (jsonb_to_recordset(p_messages) AS
        (content text, metadata jsonb, channel text, account text, external_id text, sent_at timestamptz, phone text, user_id text))
      WITH ORDINALITY AS m (content, metadata, channel, account, external_id, sent_at, phone, user_id, ord)) n
  JOIN conversation_states c ON c.device_id = n.device_id
  ORDER BY n.key
  ON CONFLICT DO NOTHING;

  PERFORM baton_record_v1(c.device_id, v_now) FROM conversation_states c
  WHERE c.device_id = ANY (v_devices) AND c.active_agent = 'human' AND c.lock_expires_at > v_now;
  SELECT jsonb_object_agg(q.device_id, q.list) INTO v_results FROM (
    SELECT v_of[k.ord] AS device_id, jsonb_agg(jsonb_build_object(
      'index', k.ord - 1, 'id', m.id::text, 'message_id', m.external_id, 'session_id', m.session_id,
      'status', m.status, 'duplicate', m.request_id IS DISTINCT FROM p_request) ORDER BY k.ord) AS list
    FROM unnest(v_keys) WITH ORDINALITY AS k (key, ord) JOIN chat_messages m ON m.dedupe_key = k.key
    GROUP BY v_of[k.ord]) q;

  FOREACH v_device IN ARRAY v_devices LOOP
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
CREATE OR REPLACE FUNCTION baton_answer_v1(p_device uuid, p_channel text, p_message_id text)
RETURNS TABLE (now timestamptz, message jsonb, replies jsonb, free boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
  m chat_messages;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  SELECT * INTO m FROM chat_messages c
  WHERE c.dedupe_key = baton_dedupe_key_v1(p_channel, p_device::text, p_message_id) AND c.device_id = p_device;
  now := baton_now_v1();
  IF m.id IS NOT NULL THEN
    message := jsonb_build_object('id', m.id::text, 'session_id', m.session_id, 'status', m.status, 'holder', m.holder);
    SELECT jsonb_agg(baton_message_view_v1(r) || jsonb_build_object('answers', q.answers) ORDER BY r.seq) INTO replies
    FROM chat_messages r,
      LATERAL (SELECT jsonb_agg(a.external_id ORDER BY a.seq) AS answers FROM chat_messages a WHERE a.id = ANY (r.answers)) q
    WHERE r.device_id = p_device AND r.seq > m.seq AND r.seq <= m.seq + 200 AND r.role = 'assistant' AND r.turn_fence = m.turn_fence;
  END IF;
  free := s.turn_expires_at IS NULL OR s.turn_expires_at <= now;
  RETURN NEXT;
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
        AND (m.created_at <= v_keep OR m.role = 'assistant')
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE OF m SKIP LOCKED)
    DELETE FROM chat_messages m USING doomed WHERE m.id = doomed.id;
    GET DIAGNOSTICS purged_messages = ROW_COUNT;
    WITH young AS (
      SELECT m.id FROM chat_sessions c JOIN chat_messages m ON m.session_id = c.session_id
      WHERE c.last_activity <= v_old AND m.status NOT IN ('waiting', 'erased') AND m.role = 'user' AND m.created_at > v_keep
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
-- Ends the holding if the guard holds; guard as in baton_set_lock_v1. Nothing held and no guard: nothing to do.
CREATE OR REPLACE FUNCTION baton_clear_lock_v1(p_device uuid, p_versions bigint[]) RETURNS TABLE (now timestamptz, written boolean)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  s conversation_states;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device FOR UPDATE;
  now := baton_now_v1();
  written := p_versions IS NULL OR coalesce(
    s.active_agent IS NOT NULL AND s.lock_expires_at > now AND (p_versions = '{}' OR s.lock_version = ANY (p_versions)), false);
  IF written AND s.active_agent IS NOT NULL THEN
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
          IF s.active_agent IS NOT NULL THEN
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
  SELECT jsonb_agg(baton_message_view_v1(m) || jsonb_build_object('attempts', m.attempts, 'address', coalesce(m.address, '{}')) ORDER BY m.seq) INTO replies
  FROM chat_messages m WHERE m.id = ANY (v_replies);
  deliver := s.turn_fence = p_fence AND s.turn_expires_at IS NOT NULL;
  IF NOT deliver THEN
    turn := baton_take_v1(p_device, 'after:' || p_fence, p_lane, p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
  END IF;
  RETURN NEXT;
END $$;

--> statement-breakpoint
-- A turn over these messages has failed: once more for each, and what failed too often is set aside.
CREATE OR REPLACE FUNCTION baton_count_attempt_v1(p_ids bigint[], p_error text, p_max_attempts int) RETURNS int
LANGUAGE sql VOLATILE AS $$
  WITH counted AS (
    UPDATE chat_messages SET attempts = attempts + 1, error = p_error,
      status = CASE WHEN attempts + 1 >= p_max_attempts THEN 'failed' ELSE 'waiting' END
    WHERE id = ANY (p_ids) AND status = 'waiting'
    RETURNING attempts, status)
  -- how often the ones that still wait have failed; null: none of them waits
  SELECT max(attempts) FROM counted WHERE status = 'waiting'
$$;

--> statement-breakpoint
-- What makes two deliveries the same message. A JSON array, because joined strings of two different triples
-- could be equal.
CREATE OR REPLACE FUNCTION baton_dedupe_key_v1(p_channel text, p_account text, p_external_id text) RETURNS bytea
LANGUAGE sql STABLE AS $$ SELECT baton_hmac_v1(jsonb_build_array(p_channel, p_account, p_external_id)::text) $$;

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
-- Hands a state document through, or refuses the whole statement with ZB001, so that the size is checked where
-- the merge happens and nothing else of a commit is written either.
CREATE OR REPLACE FUNCTION baton_fitting_v1(p_state jsonb, p_max_bytes int) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF octet_length(p_state::text) > p_max_bytes THEN
    RAISE EXCEPTION 'state too large' USING ERRCODE = 'ZB001';
  END IF;
  RETURN p_state;
END $$;

--> statement-breakpoint
-- HMAC-SHA-256 (RFC 2104) with two independent 64-byte keys in place of the padded pair. The keys live in the
-- database and never rotate: a key that changed would let a redelivery pass for a new message.
CREATE OR REPLACE FUNCTION baton_hmac_v1(p_message text) RETURNS bytea
LANGUAGE sql STABLE AS $$
  SELECT sha256(outer_key || sha256(inner_key || convert_to(p_message, 'UTF8'))) FROM deployment_keys
$$;

--> statement-breakpoint
-- The device of an identity nobody has seen before: the same for two first messages in parallel, and not to be
-- guessed from a phone number. A UUID version 8 (RFC 9562, 5.8).
CREATE OR REPLACE FUNCTION baton_identity_device_v1(p_channel text, p_account text, p_kind text, p_value text) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_hash bytea := substring(baton_hmac_v1(jsonb_build_array(p_channel, p_account, p_kind, p_value)::text) FOR 16);
BEGIN
  v_hash := set_byte(v_hash, 6, (get_byte(v_hash, 6) & 15) | 128);
  v_hash := set_byte(v_hash, 8, (get_byte(v_hash, 8) & 63) | 128);
  RETURN encode(v_hash, 'hex')::uuid;
END $$;

--> statement-breakpoint
-- Gives every sender that nobody has seen before a device. Phones first, in key order; then each unseen user id
-- reads again, under the locks of the phones' rows: two first messages in parallel must not split a person, and
-- two people who share a phone must not become one.
CREATE OR REPLACE FUNCTION baton_link_v1(p_messages jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  m record;
  v_phone uuid;
BEGIN
  INSERT INTO channel_identities (channel, account, kind, value, device_id)
  SELECT DISTINCT ON (n.channel, n.account, n.phone) n.channel, n.account, 'phone', n.phone,
    coalesce(u.device_id, baton_identity_device_v1(n.channel, n.account, 'phone', n.phone))
  FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
  LEFT JOIN channel_identities u ON (u.channel, u.account, u.kind, u.value) = (n.channel, n.account, 'user_id', n.user_id)
  WHERE n.phone IS NOT NULL AND NOT EXISTS (
    SELECT FROM channel_identities p WHERE (p.channel, p.account, p.kind, p.value) = (n.channel, n.account, 'phone', n.phone))
  ORDER BY n.channel, n.account, n.phone, u.device_id
  ON CONFLICT DO NOTHING;

  PERFORM FROM channel_identities p
  WHERE p.kind = 'phone' AND (p.channel, p.account, p.value) IN (
    SELECT n.channel, n.account, n.phone FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
    WHERE n.user_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM channel_identities u WHERE (u.channel, u.account, u.kind, u.value) = (n.channel, n.account, 'user_id', n.user_id)))
  ORDER BY p.channel, p.account, p.value FOR UPDATE;
  FOR m IN
    SELECT DISTINCT ON (n.channel, n.account, n.user_id) n.channel, n.account, n.user_id, n.phone
    FROM jsonb_to_recordset(p_messages) AS n (channel text, account text, phone text, user_id text)
    WHERE n.user_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM channel_identities u WHERE (u.channel, u.account, u.kind, u.value) = (n.channel, n.account, 'user_id', n.user_id))
    ORDER BY n.channel, n.account, n.user_id, n.phone
  LOOP
    SELECT p.device_id INTO v_phone FROM channel_identities p
    WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone);
    IF EXISTS (SELECT FROM channel_identities u WHERE u.device_id = v_phone AND u.channel = m.channel AND u.account = m.account AND u.kind = 'user_id') THEN
      v_phone := NULL;
    END IF;
    INSERT INTO channel_identities (channel, account, kind, value, device_id)
    VALUES (m.channel, m.account, 'user_id', m.user_id,
      coalesce(v_phone, baton_identity_device_v1(m.channel, m.account, 'user_id', m.user_id)))
    ON CONFLICT DO NOTHING;
  END LOOP;
END $$;

--> statement-breakpoint
-- The owner's timeline. A trigger, so that no path that ends a holding can forget it; it takes the operation's
-- own clock from updated_at.
CREATE OR REPLACE FUNCTION baton_lock_event_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO lock_events (device_id, agent, started_at, ended_at, reason)
  VALUES (OLD.device_id, OLD.active_agent, OLD.locked_at, least(NEW.updated_at, OLD.lock_expires_at),
    CASE
      WHEN OLD.lock_expires_at <= NEW.updated_at THEN 'expired'
      WHEN NEW.active_agent IS NULL THEN 'cleared'
      ELSE 'handed_over'
    END);
  RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER lock_event AFTER UPDATE OF active_agent, locked_at ON conversation_states FOR EACH ROW
WHEN (OLD.active_agent IS NOT NULL AND (OLD.active_agent, OLD.locked_at) IS DISTINCT FROM (NEW.active_agent, NEW.locked_at))
EXECUTE FUNCTION baton_lock_event_v1();

--> statement-breakpoint
-- The lock as a reader may see it at p_now: past its end it does not exist, cleaned up or not.
CREATE OR REPLACE FUNCTION baton_lock_view_v1(p_state conversation_states, p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN p_state.active_agent IS NOT NULL AND p_state.lock_expires_at > p_now THEN jsonb_build_object(
    'agent', p_state.active_agent,
    'locked_at', p_state.locked_at,
    'expires_at', p_state.lock_expires_at,
    'session_ttl', p_state.session_ttl,
    'version', p_state.lock_version::text) END
$$;

--> statement-breakpoint
-- RFC 7396. One pass per level: applying key after key with || copies a megabyte for each of them, and -> on a
-- stored document unpacks all of it each time.
CREATE OR REPLACE FUNCTION baton_merge_patch_v1(p_target jsonb, p_patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  IF jsonb_typeof(p_patch) IS DISTINCT FROM 'object' THEN
    RETURN p_patch;
  END IF;
  IF jsonb_typeof(p_target) IS DISTINCT FROM 'object' THEN
    p_target := '{}';
    IF position('null' IN p_patch::text) = 0 THEN
      RETURN p_patch; -- nothing to merge with and nothing to remove
    END IF;
  END IF;
  RETURN coalesce((
    SELECT jsonb_object_agg(key, CASE
      WHEN p.value IS NULL THEN t.value
      WHEN jsonb_typeof(p.value) = 'object' THEN baton_merge_patch_v1(t.value, p.value)
      ELSE p.value END)
    FROM jsonb_each(p_target) t FULL JOIN jsonb_each(p_patch) p USING (key)
    WHERE p.value IS NULL OR p.value <> 'null'), '{}');
END $$;

--> statement-breakpoint
CREATE OR REPLACE FUNCTION baton_message_view_v1(p_message chat_messages) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', p_message.id::text,
    'message_id', p_message.external_id,
    'role', p_message.role,
    'content', p_message.content,
    'agent', p_message.agent,
    'metadata', p_message.metadata,
    'sent_at', p_message.sent_at,
    'created_at', p_message.created_at)
$$;

--> statement-breakpoint
-- Writes the lock of a device whose state row the caller holds: p_agent null ends the holding. The same live
-- holder keeps its version (a renewal); every other change draws a new one, the end of a holding too, so that
-- "nobody moved it meanwhile" can be told by the version alone.
-- Handing over to a person takes the turn from a worker that is still at its answer. One that has committed is
-- only sending what stands in the history already; it may settle that.
CREATE OR REPLACE FUNCTION baton_move_lock_v1(p_device uuid, p_agent text, p_ttl int, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  s conversation_states;
  v_same boolean;
BEGIN
  SELECT * INTO s FROM conversation_states c WHERE c.device_id = p_device;
  v_same := coalesce(s.active_agent = p_agent AND s.lock_expires_at > p_now, false);
  UPDATE conversation_states c SET active_agent = p_agent,
    locked_at = CASE WHEN v_same THEN c.locked_at WHEN p_agent IS NOT NULL THEN p_now END,
    session_ttl = coalesce(p_ttl, c.session_ttl),
    lock_expires_at = CASE WHEN p_agent IS NOT NULL THEN p_now + coalesce(p_ttl, c.session_ttl) * interval '1 s' END,
    lock_version = CASE WHEN v_same THEN c.lock_version ELSE nextval('baton_versions') END,
    updated_at = p_now
  WHERE c.device_id = p_device;
  IF p_agent = 'human' AND NOT v_same THEN
    PERFORM baton_record_v1(p_device, p_now);
    UPDATE conversation_states c SET turn_fence = nextval('baton_versions'), turn_owner = NULL, turn_expires_at = NULL, handed = '{}'
    WHERE c.device_id = p_device AND c.turn_expires_at IS NOT NULL AND c.committed_fence IS DISTINCT FROM c.turn_fence;
  END IF;
END $$;

--> statement-breakpoint
-- NEXT: takes the free turns among these devices, at most p_max_turns, if something waits there in the lane.
-- One row per turn; where none was taken, one row with the clock alone.
CREATE OR REPLACE FUNCTION baton_next_v1(
  p_devices uuid[], p_request text, p_lane text, p_max_turns int,
  p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_devices uuid[];
  v_device uuid;
  v_found boolean := false;
BEGIN
  SELECT array_agg(q.device_id ORDER BY q.device_id) INTO v_devices FROM (
    SELECT c.device_id FROM conversation_states c
    WHERE c.device_id = ANY (p_devices)
      AND (c.turn_expires_at IS NULL OR c.turn_expires_at <= clock_timestamp() OR c.turn_owner = p_request)
      AND EXISTS (SELECT FROM chat_messages m WHERE m.device_id = c.device_id AND m.lane = p_lane AND m.status = 'waiting')
    ORDER BY c.device_id LIMIT p_max_turns FOR UPDATE) q;
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
-- The one clock: read once per operation, after its row locks. Cut to milliseconds, the precision of every
-- stored time, so that what a caller is told and what was decided are the same two numbers.
CREATE OR REPLACE FUNCTION baton_now_v1() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$ SELECT date_trunc('milliseconds', clock_timestamp()) $$;

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

  WITH touched AS (
    UPDATE chat_sessions c SET last_activity = p_now, expires_at = p_now + coalesce(c.ttl, p_session_ttl) * interval '1 s'
    FROM conversation_states s WHERE s.device_id = ANY (p_devices) AND c.session_id = s.session_id
    RETURNING c.device_id, c.expires_at)
  UPDATE conversation_states s SET session_expires_at = t.expires_at, updated_at = p_now
  FROM touched t WHERE s.device_id = t.device_id;
END $$;

--> statement-breakpoint
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

--> statement-breakpoint
-- RECOVER: takes turns of the builtin lane that somebody has let fall, wherever they are: messages that wait, or
-- replies that are due, with no live lease. Rows that another call holds are passed by: it is at work there.
CREATE OR REPLACE FUNCTION baton_recover_v1(
  p_request text, p_max_turns int, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_devices uuid[];
  v_device uuid;
  v_found boolean := false;
BEGIN
  SELECT array_agg(q.device_id) INTO v_devices FROM (
    SELECT c.device_id FROM conversation_states c
    WHERE (c.turn_expires_at IS NULL OR c.turn_expires_at <= clock_timestamp() OR c.turn_owner = p_request)
      AND c.device_id IN (
        SELECT m.device_id FROM chat_messages m WHERE m.status = 'waiting' AND m.lane = 'builtin'
        UNION ALL
        -- the head of each queue; a device whose head is not due would be chosen again and again
        SELECT h.device_id FROM (
          SELECT DISTINCT ON (m.device_id) m.device_id, m.status, m.claim_expires_at FROM chat_messages m
          WHERE m.status IN ('pending', 'sending', 'unknown') ORDER BY m.device_id, m.seq) h
        WHERE h.status = 'sending' OR h.claim_expires_at <= clock_timestamp())
    ORDER BY c.turn_expires_at NULLS FIRST LIMIT p_max_turns FOR UPDATE SKIP LOCKED) q;
  now := baton_now_v1();
  FOREACH v_device IN ARRAY coalesce(v_devices, '{}') LOOP
    turn := baton_take_v1(v_device, p_request, 'builtin', p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
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
-- The device of each message, in the order given. The user id decides: a phone number changes hands.
CREATE OR REPLACE FUNCTION baton_resolve_v1(p_messages jsonb) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    -- subqueries, not joins: they can only be index probes, also before the table was ever analysed
    SELECT array_agg(coalesce(m.device_id,
      (SELECT u.device_id FROM channel_identities u WHERE (u.channel, u.account, u.kind, u.value) = (m.channel, m.account, 'user_id', m.user_id)),
      (SELECT p.device_id FROM channel_identities p WHERE (p.channel, p.account, p.kind, p.value) = (m.channel, m.account, 'phone', m.phone))
    ) ORDER BY m.ord)
    FROM ROWS FROM (jsonb_to_recordset(p_messages) AS (device_id uuid, channel text, account text, phone text, user_id text))
      WITH ORDINALITY AS m (device_id, channel, account, phone, user_id, ord));
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
-- SETTLE: what became of the replies the turn had to send, then the turn's end, or the next one if more waits.
-- p_results: [{id, status, external_id?, error?, retry_ms?, untried?}]; outcome: settled or lost.
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
    outcome := 'lost';
    RETURN NEXT;
    RETURN;
  END IF;
  outcome := 'settled';
  turn := baton_take_v1(p_device, 'after:' || p_fence, 'builtin', p_lease_ms, p_history, p_max_attempts, p_resend_ms, now);
  RETURN NEXT;
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
      SELECT m.id, bool_and(m.claim_expires_at <= p_now) OVER (ORDER BY m.seq) AS due
      FROM chat_messages m WHERE m.device_id = p_device AND m.status IN ('pending', 'sending', 'unknown')) q
    WHERE q.due;
  END IF;
  IF v_send IS NULL THEN
    SELECT array_agg(q.id) INTO v_ids FROM (
      SELECT m.id FROM chat_messages m,
        (SELECT w.session_id, w.channel, w.account FROM chat_messages w
         WHERE w.device_id = p_device AND w.lane = p_lane AND w.status = 'waiting' ORDER BY w.id LIMIT 1) f
      WHERE m.device_id = p_device AND m.lane = p_lane AND m.status = 'waiting'
        AND (m.session_id, m.channel, m.account) = (f.session_id, f.channel, f.account)
      ORDER BY m.id LIMIT 100) q;
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
    SELECT jsonb_agg(baton_message_view_v1(m) || jsonb_build_object('attempts', m.attempts, 'address', coalesce(m.address, '{}')) ORDER BY m.seq) INTO v_replies
    FROM chat_messages m WHERE m.device_id = p_device AND m.status = 'sending';
  ELSE
    SELECT * INTO v_first FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.status = 'waiting' ORDER BY m.id LIMIT 1;
    SELECT jsonb_agg(baton_message_view_v1(m) ORDER BY m.sent_at, m.id) INTO v_messages
    FROM chat_messages m WHERE m.id = ANY (s.handed) AND m.status = 'waiting';
    SELECT jsonb_agg(q.view ORDER BY q.seq) INTO v_history FROM (
      SELECT m.seq, baton_message_view_v1(m) AS view FROM chat_messages m
      WHERE m.session_id = v_first.session_id AND m.lane = v_first.lane AND m.seq IS NOT NULL ORDER BY m.seq DESC LIMIT p_history) q;
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
