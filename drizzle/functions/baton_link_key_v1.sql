-- What is kept of a code by which a device joins a conversation.
CREATE OR REPLACE FUNCTION baton_link_key_v1(p_code text) RETURNS bytea
LANGUAGE sql STABLE AS $$ SELECT baton_hmac_v1(jsonb_build_array('link', p_code)::text) $$;
