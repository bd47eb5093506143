-- Bytes of a message that a turn carries.
CREATE OR REPLACE FUNCTION baton_message_bytes_v1(p_message chat_messages) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT octet_length(p_message.content) + octet_length(p_message.metadata::text)::bigint
$$;
