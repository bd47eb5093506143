-- As baton_answer_v2, of a message whose account is its device. For code that still runs while a deployment rolls.
CREATE OR REPLACE FUNCTION baton_answer_v1(p_device uuid, p_channel text, p_message_id text)
RETURNS TABLE (now timestamptz, message jsonb, replies jsonb, free boolean)
LANGUAGE sql VOLATILE AS $$ SELECT * FROM baton_answer_v2(p_device, p_channel, p_device::text, p_message_id) $$;
