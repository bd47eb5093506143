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
