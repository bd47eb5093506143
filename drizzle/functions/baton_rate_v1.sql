-- What RATE_LIMIT has left for a device, by a generic cell rate algorithm: each message counts for a minute's part, and no
-- more than a minute of them is let in ahead. p_until: conversation_states.rate_until; p_limit: messages in a minute.
-- left: messages that would be let in now; reset_ms: until all of them would; retry_ms: until the next one would.
CREATE OR REPLACE FUNCTION baton_rate_v1(p_until timestamptz, p_limit int, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_ahead float8 := greatest(0, extract(epoch FROM p_until - p_now) * 1000);
  v_each float8 := 60000.0 / p_limit;
BEGIN
  RETURN jsonb_build_object('left', greatest(0, floor((60000 - v_ahead) / v_each + 0.001)), 'reset_ms', ceil(coalesce(v_ahead, 0)),
    'retry_ms', ceil(greatest(0, v_ahead + v_each - 60000)));
END $$;
