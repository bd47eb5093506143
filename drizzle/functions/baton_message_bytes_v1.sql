-- Bytes of a message on the wire, but for its ids and times; what JSON must escape counts as that.
CREATE OR REPLACE FUNCTION baton_message_bytes_v1(p_message chat_messages) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT octet_length(to_json(p_message.content)::text) + octet_length(p_message.metadata::text)::bigint
$$;
