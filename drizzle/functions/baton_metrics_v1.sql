-- What is monitored, as of one moment: each list from an index of its own, and none that grows with all that is kept but the
-- sessions'. Seconds. Replies: those that are not out yet, all; of the others those of the last day.
CREATE OR REPLACE FUNCTION baton_metrics_v1()
RETURNS TABLE (now timestamptz, locks jsonb, lock_age jsonb, sessions jsonb, waiting int, failed int, replies jsonb, counters jsonb)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
BEGIN
  PERFORM baton_replan_v1();
  now := baton_now_v1();
  WITH live AS MATERIALIZED (
    SELECT c.active_agent AS agent, extract(epoch FROM now - c.locked_at)::float8 AS age
    FROM conversation_states c WHERE c.active_agent IS NOT NULL AND c.lock_expires_at > now)
  SELECT (SELECT jsonb_agg(jsonb_build_object('agent', q.agent, 'active', q.n) ORDER BY q.agent)
      FROM (SELECT l.agent, count(*) AS n FROM live l GROUP BY l.agent) q),
    (SELECT jsonb_build_object('count', count(*), 'sum', coalesce(sum(l.age), 0),
      'median', percentile_disc(0.5) WITHIN GROUP (ORDER BY l.age), 'p95', percentile_disc(0.95) WITHIN GROUP (ORDER BY l.age)) FROM live l)
  INTO locks, lock_age;
  sessions := baton_session_figures_v1(now);
  SELECT count(*) INTO waiting FROM chat_messages m WHERE m.status = 'waiting';
  SELECT count(*) INTO failed FROM chat_messages m WHERE m.status = 'failed' AND m.role = 'user';
  SELECT jsonb_object_agg(q.status, q.n) INTO replies FROM (
    SELECT m.status, count(*) AS n FROM chat_messages m WHERE m.status IN ('pending', 'sending', 'unknown') GROUP BY m.status
    UNION ALL
    SELECT m.status, count(*) FROM chat_messages m
    WHERE m.created_at > now - interval '1 day' AND m.role = 'assistant' AND m.status NOT IN ('pending', 'sending', 'unknown', 'erased')
    GROUP BY m.status) q;
  SELECT jsonb_agg(jsonb_build_object('name', c.name, 'label', c.label, 'value', c.value, 'updated_at', c.updated_at) ORDER BY c.name, c.label)
  INTO counters FROM counters c;
  RETURN NEXT;
END $$;
