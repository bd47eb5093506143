-- A turn over these messages has failed: once more for each, and what failed too often is set aside.
CREATE OR REPLACE FUNCTION baton_count_attempt_v1(p_ids bigint[], p_error text, p_max_attempts int) RETURNS int
LANGUAGE sql VOLATILE AS $$
  WITH counted AS (
    UPDATE chat_messages SET attempts = attempts + 1, error = p_error,
      status = CASE WHEN attempts + 1 >= p_max_attempts THEN 'failed' ELSE 'waiting' END
    WHERE id = ANY (p_ids) AND status = 'waiting'
    RETURNING attempts, status)
  -- how often the ones that still wait have failed; null: none of them waits
  SELECT max(attempts) FROM counted WHERE status = 'waiting'
$$;
