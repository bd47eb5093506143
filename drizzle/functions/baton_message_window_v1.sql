-- Whether the person wrote within the last 24 hours, as a channel counts it that lets a business answer freely only
-- so long: among the messages a reply answers (at most 300 rows before it), the later ones, and those that wait.
CREATE OR REPLACE FUNCTION baton_message_window_v1(p_reply chat_messages, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM chat_messages m
    WHERE m.device_id = p_reply.device_id AND m.seq > p_reply.seq - 300
      AND m.role = 'user' AND (m.channel, m.account) = (p_reply.channel, p_reply.account) AND m.sent_at > p_now - interval '24 hours')
  OR EXISTS (
    SELECT FROM chat_messages m
    WHERE m.device_id = p_reply.device_id AND m.status = 'waiting'
      AND (m.channel, m.account) = (p_reply.channel, p_reply.account) AND m.sent_at > p_now - interval '24 hours');
END $$;
