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
