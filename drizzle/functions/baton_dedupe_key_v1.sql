-- What makes two deliveries the same message. A JSON array, because joined strings of two different triples
-- could be equal.
CREATE OR REPLACE FUNCTION baton_dedupe_key_v1(p_channel text, p_account text, p_external_id text) RETURNS bytea
LANGUAGE sql STABLE AS $$ SELECT baton_hmac_v1(jsonb_build_array(p_channel, p_account, p_external_id)::text) $$;
