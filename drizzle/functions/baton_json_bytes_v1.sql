-- The size of a document as a caller writes it, without spaces between its parts; strings are kept as they are.
CREATE OR REPLACE FUNCTION baton_json_bytes_v1(p_document jsonb) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
  SELECT octet_length(regexp_replace(p_document::text, '("(?:[^"\\]|\\.)*")| ', '\1', 'g'))
$$;
