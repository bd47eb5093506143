-- As baton_recover_v2, with nothing left to whoever stored it. For code that still runs while a deployment rolls.
CREATE OR REPLACE FUNCTION baton_recover_v1(
  p_request text, p_max_turns int, p_lease_ms int, p_history int, p_max_attempts int, p_resend_ms int
) RETURNS TABLE (now timestamptz, turn jsonb)
LANGUAGE sql VOLATILE AS $$ SELECT * FROM baton_recover_v2(p_request, p_max_turns, p_lease_ms, p_history, p_max_attempts, p_resend_ms, 0) $$;
