-- Has all plans of this connection made anew once a table is about twice as large as it was when they were made, or half. A plan
-- made for a table of one row reads the whole table, by whatever index, and is kept until ANALYZE comes by: where that had
-- seen an empty database, ACCEPT of 500 messages took 12 s in place of 0.4, and to read a lock among 6,000 devices 0.15 s.
-- Judged by the sizes of the files, as the planner does, and not by what was counted in them on some day. 25 microseconds.
CREATE OR REPLACE FUNCTION baton_replan_v1() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_sizes text := (3 * log(1 + pg_relation_size('conversation_states') / 8192))::int
    || ' ' || (3 * log(1 + pg_relation_size('chat_sessions') / 8192))::int
    || ' ' || (3 * log(1 + pg_relation_size('chat_messages') / 8192))::int
    || ' ' || (3 * log(1 + pg_relation_size('channel_identities') / 8192))::int;
BEGIN
  IF current_setting('baton.planned_for', true) IS DISTINCT FROM v_sizes THEN
    PERFORM set_config('baton.planned_for', v_sizes, false);
    DISCARD PLANS;
  END IF;
END $$;
