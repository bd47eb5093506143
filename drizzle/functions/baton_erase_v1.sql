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
