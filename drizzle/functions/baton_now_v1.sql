-- The one clock: read once per operation, after its row locks. Cut to milliseconds, the precision of every
-- stored time, so that what a caller is told and what was decided are the same two numbers.
CREATE OR REPLACE FUNCTION baton_now_v1() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$ SELECT date_trunc('milliseconds', clock_timestamp()) $$;
