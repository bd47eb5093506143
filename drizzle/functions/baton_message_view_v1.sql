CREATE OR REPLACE FUNCTION baton_message_view_v1(p_message chat_messages) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', p_message.id::text,
    'message_id', p_message.external_id,
    'role', p_message.role,
    'content', p_message.content,
    'agent', p_message.agent,
    'metadata', p_message.metadata,
    'sent_at', p_message.sent_at,
    'created_at', p_message.created_at)
$$;
