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
