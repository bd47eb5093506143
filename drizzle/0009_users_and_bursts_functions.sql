-- the functions call each other; their bodies are checked when they run
--> statement-breakpoint
SET LOCAL check_function_bodies = off;
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
  v_locked := baton_identities_of_v1(v_devices);
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  IF baton_identities_of_v1(v_devices) IS DISTINCT FROM v_locked
    OR (p_user IS NULL AND baton_linked_v1(p_device) <> ALL (v_devices)) THEN
    -- one came or went between: giving up drops every lock, as in baton_accept_v1
    RAISE EXCEPTION 'an identity moved' USING ERRCODE = '40001';
  END IF;
  now := baton_now_v1();
  v_whole := ARRAY(SELECT DISTINCT d FROM unnest(v_devices) d
    WHERE p_user IS NULL OR NOT EXISTS (SELECT FROM chat_sessions c WHERE c.device_id = d AND c.user_id <> p_user));
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
    AND (m.dedupe_key IS NULL OR (m.created_at <= now - interval '8 days' AND m.status <> 'erased'));
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
-- As baton_recover_v2, with nothing left to whoever stored it. For code that still runs while a deployment rolls.
CREATE OR REPLACE FUNCTION baton_recover_v1(
  p_request text, p_max_turns int, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE sql VOLATILE AS $$ SELECT * FROM baton_recover_v2(p_request, p_max_turns, p_lease_ms, p_history, p_max_attempts, p_resend_ms, 0) $$;

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
