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
