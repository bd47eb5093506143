-- Whether a document is larger than so many bytes as a caller writes it: jsonb's text has a space behind every comma and
-- colon, so it is at most half as long again. Those are counted only where they decide. Numbers count as PostgreSQL
-- writes them: 1e300 is 301 digits here, and on its way to every reader.
CREATE OR REPLACE FUNCTION baton_is_larger_v1(p_document jsonb, p_bytes int) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_text text := p_document::text;
BEGIN
  IF octet_length(v_text) <= p_bytes THEN
    RETURN false;
  END IF;
  RETURN octet_length(v_text) > p_bytes * 1.5 OR baton_json_bytes_v1(p_document) > p_bytes;
END $$;
