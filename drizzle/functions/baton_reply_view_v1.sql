-- A reply for the worker that sends it.
CREATE OR REPLACE FUNCTION baton_reply_view_v1(p_reply chat_messages, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN baton_message_view_v1(p_reply) || jsonb_build_object(
    'attempts', p_reply.attempts, 'address', coalesce(p_reply.address, '{}'), 'in_window', CASE WHEN p_reply.status = 'sending' THEN baton_message_window_v1(p_reply, p_now) END);
END $$;
