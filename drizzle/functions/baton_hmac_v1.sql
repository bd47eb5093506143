-- HMAC-SHA-256 (RFC 2104) with two independent 64-byte keys in place of the padded pair. The keys live in the
-- database and never rotate: a key that changed would let a redelivery pass for a new message.
CREATE OR REPLACE FUNCTION baton_hmac_v1(p_message text) RETURNS bytea
LANGUAGE sql STABLE AS $$
  SELECT sha256(outer_key || sha256(inner_key || convert_to(p_message, 'UTF8'))) FROM deployment_keys
$$;
