-- The sender's clock where it makes sense (30 days back, 10 minutes ahead), else the arrival.
CREATE OR REPLACE FUNCTION baton_sent_at_v1(p_sent_at timestamptz, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_sent_at BETWEEN p_now - interval '30 days' AND p_now + interval '10 minutes' THEN p_sent_at ELSE p_now END
$$;
