-- CLEAN-UP, one batch of each kind: lapsed locks, ended sessions, keys that nobody will send again; and past retention the
-- messages of sessions that are over, then the sessions, the timeline, and identities of whose device nothing is left. Rows are
-- found by index, passed by when somebody holds them, and looked at again under their lock; two may run at once.
CREATE OR REPLACE FUNCTION baton_clean_v1(p_batch int, p_retention_days int)
RETURNS TABLE (now timestamptz, expired_locks int, expired_sessions int, purged_messages int, more boolean)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_old timestamptz;
  v_keep timestamptz;
  v_sessions int := 0;
  v_doomed int := 0;
  v_emptied int := 0;
  v_events int := 0;
  v_identities int := 0;
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

  v_keep := now - interval '8 days'; -- a provider retries for seven: until then the key must stay to be known again
  WITH known AS (
    SELECT m.id FROM chat_messages m WHERE m.status = 'erased' AND m.created_at <= v_keep
    ORDER BY m.created_at LIMIT p_batch FOR UPDATE SKIP LOCKED)
  DELETE FROM chat_messages m USING known WHERE m.id = known.id;
  GET DIAGNOSTICS purged_messages = ROW_COUNT;
  IF p_retention_days > 0 THEN
    v_old := now - p_retention_days * interval '1 day';
    WITH doomed AS (
      SELECT m.id FROM chat_sessions c JOIN chat_messages m ON m.session_id = c.session_id
      WHERE c.last_activity <= v_old AND c.expires_at <= now AND m.status NOT IN ('waiting', 'pending', 'sending', 'unknown')
        AND (m.created_at <= v_keep OR m.dedupe_key IS NULL)
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE OF m SKIP LOCKED)
    DELETE FROM chat_messages m USING doomed WHERE m.id = doomed.id;
    GET DIAGNOSTICS v_doomed = ROW_COUNT;
    WITH young AS (
      SELECT m.id FROM chat_sessions c JOIN chat_messages m ON m.session_id = c.session_id
      WHERE c.last_activity <= v_old AND c.expires_at <= now AND m.status NOT IN ('waiting', 'erased') AND m.dedupe_key IS NOT NULL AND m.created_at > v_keep
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE OF m SKIP LOCKED)
    UPDATE chat_messages m SET content = '', metadata = '{}', address = NULL, status = 'erased', seq = NULL, external_id = NULL
    FROM young WHERE m.id = young.id;
    GET DIAGNOSTICS v_emptied = ROW_COUNT;
    -- keys may outlive their session; it would be looked at in vain, in every batch, until the last of them goes
    WITH empty AS (
      SELECT c.session_id FROM chat_sessions c
      WHERE c.last_activity <= v_old AND c.expires_at <= now
        AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.session_id = c.session_id AND m.status <> 'erased')
      ORDER BY c.last_activity LIMIT p_batch FOR UPDATE SKIP LOCKED)
    DELETE FROM chat_sessions c USING empty WHERE c.session_id = empty.session_id AND c.last_activity <= v_old;
    GET DIAGNOSTICS v_sessions = ROW_COUNT;
    purged_messages := purged_messages + v_doomed + v_emptied;
    DELETE FROM lock_events e WHERE e.id IN (SELECT o.id FROM lock_events o WHERE o.ended_at <= v_old ORDER BY o.ended_at LIMIT p_batch FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_events = ROW_COUNT;
    v_identities := baton_clean_identities_v1(p_batch, v_old, now);
  END IF;
  more := greatest(expired_locks, expired_sessions, purged_messages, v_sessions, v_events, v_identities) >= p_batch;
  RETURN NEXT;
END $$;
