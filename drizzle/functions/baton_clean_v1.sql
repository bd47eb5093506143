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
