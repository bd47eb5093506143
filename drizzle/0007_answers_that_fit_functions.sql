-- the functions call each other; their bodies are checked when they run
--> statement-breakpoint
SET LOCAL check_function_bodies = off;
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
-- Hands a state document through, or refuses the whole statement with ZB001, so that the size is checked where
-- the merge happens and nothing else of a commit is written either.
CREATE OR REPLACE FUNCTION baton_fitting_v1(p_state jsonb, p_max_bytes int) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF baton_is_larger_v1(p_state, p_max_bytes) THEN
    RAISE EXCEPTION 'state too large' USING ERRCODE = 'ZB001';
  END IF;
  RETURN p_state;
END $$;

--> statement-breakpoint
-- Whether a document is larger than so many bytes as a caller writes it: jsonb's text has a space behind every comma and
-- colon, so it is at most half as long again. Those are counted only where they decide. Numbers count as PostgreSQL
-- writes them: 1e300 is 301 digits here, and on its way to every reader.
CREATE OR REPLACE FUNCTION baton_is_larger_v1(p_document jsonb, p_bytes int) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_text text := p_document::text;
BEGIN
  IF octet_length(v_text) <= p_bytes THEN
    RETURN false;
  END IF;
  RETURN octet_length(v_text) > p_bytes * 1.5 OR baton_json_bytes_v1(p_document) > p_bytes;
END $$;

--> statement-breakpoint
-- The size of a document as a caller writes it, without the spaces that jsonb's text has between its parts: they stand in
-- every other piece when it is cut at its quotes, those that a backslash makes part of a string being taken out before.
-- (A regular expression over the strings takes four times as long.)
CREATE OR REPLACE FUNCTION baton_json_bytes_v1(p_document jsonb) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
  SELECT octet_length(t.text) - (
    SELECT sum(length(p.piece) - length(replace(p.piece, ' ', '')))
    FROM unnest(string_to_array(replace(replace(t.text, '\\', ''), '\"', ''), '"')) WITH ORDINALITY AS p (piece, place)
    WHERE p.place % 2 = 1)::int
  FROM (SELECT p_document::text) AS t (text)
$$;

--> statement-breakpoint
-- Bytes of a message on the wire, but for its ids and times; what JSON must escape counts as that.
CREATE OR REPLACE FUNCTION baton_message_bytes_v1(p_message chat_messages) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT octet_length(to_json(p_message.content)::text) + octet_length(p_message.metadata::text)::bigint
$$;

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
    -- the oldest that fit into 2 MiB, and one in any case: with a mebibyte of history and one of state an answer stays
    -- under the 4.5 MB that a function on Vercel may give
    SELECT array_agg(b.id) INTO v_ids FROM (
      SELECT q.id, row_number() OVER w = 1 OR sum(q.bytes) OVER w <= 2097152 AS fits FROM (
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
-- Everything the holder of a turn works from: what was handed to it, or which replies it has to send, and what
-- was said before; null where the channel has told of all its replies before its worker did. VOLATILE: it must see
-- what the calling function has just written.
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
    -- the newest that fit into a mebibyte
    SELECT jsonb_agg(baton_message_view_v1(h.m) ORDER BY (h.m).seq) INTO v_history FROM (
      SELECT q.m, sum(baton_message_bytes_v1(q.m)) OVER (ORDER BY (q.m).seq DESC) AS bytes FROM (
        SELECT m FROM chat_messages m
        WHERE m.session_id = v_first.session_id AND m.lane = v_first.lane AND m.seq IS NOT NULL ORDER BY m.seq DESC LIMIT p_history) q) h
    WHERE h.bytes <= 1048576;
  END IF;
  IF v_first.id IS NULL THEN
    RETURN NULL;
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
