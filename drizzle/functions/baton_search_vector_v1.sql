-- What search looks in: the first 200,000 characters, or, where their many different words overflow a tsvector
-- (1 MB), the first 50,000, which cannot. A message is never refused for its words. "and/or" are two, and
-- "<b>" is one: the parser would take the first for the name of a file and the second for nothing.
CREATE OR REPLACE FUNCTION baton_search_vector_v1(p_text text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF length(p_text) > 50000 THEN
    BEGIN
      RETURN to_tsvector('baton_search', regexp_replace(left(normalize(p_text), 200000), '([/<])', ' \1 ', 'g'));
    EXCEPTION WHEN program_limit_exceeded THEN
      NULL; -- the short way below
    END;
  END IF;
  RETURN to_tsvector('baton_search', regexp_replace(left(normalize(p_text), 50000), '([/<])', ' \1 ', 'g'));
END $$;
